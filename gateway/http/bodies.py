"""What the API is sent: JSON, bounded and strictly typed; every other outcome is a Problem."""

from http import HTTPStatus
from typing import Final, TypeVar

import msgspec
from starlette.requests import Request

from auth.body import read_bytes
from gateway.codes import ErrorCode
from gateway.dialects.fields import has_lone_surrogate
from gateway.problems import Problem, invalid_field

MAX_BODY_BYTES: Final = 64 * 1024

T = TypeVar("T")


async def read_body(request: Request, shape: type[T]) -> T:
    """The JSON body as `shape` (a msgspec Struct); unknown fields are ignored.

    Raises: Problem (400 not JSON, 408, 413, 415, 422 not of this shape).
    """
    body = await read_bytes(request, "application/json", MAX_BODY_BYTES)
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:  # says what was expected and where, not what was sent
        raise invalid_field(f"{error}.") from None
    except (ValueError, RecursionError):
        if has_lone_surrogate(body):
            raise invalid_text() from None
        raise Problem(HTTPStatus.BAD_REQUEST, ErrorCode.INVALID_JSON, "The body is not valid JSON.") from None


def invalid_text() -> Problem:
    """A text that no database of ours can hold."""
    detail = "The text contains characters that cannot be stored."
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, ErrorCode.INVALID_TEXT, detail)
