"""What auth is sent: JSON or a form, bounded and strictly typed; every other outcome is a Problem."""

from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request

from auth.body import read_bytes
from auth.problem import Problem

MAX_BODY_BYTES: Final = 16 * 1024
MAX_FORM_FIELDS: Final = 32

T = TypeVar("T")


async def read_json(request: Request, shape: type[T]) -> T:
    """The JSON body as `shape` (a msgspec Struct); unknown fields are ignored.

    Raises: Problem (400 not JSON, 408, 413, 415, 422 not of this shape).
    """
    body = await read_bytes(request, "application/json", MAX_BODY_BYTES)
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:  # says what was expected and where, not what was sent
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_field", str(error)) from None
    except (ValueError, RecursionError):
        raise Problem(HTTPStatus.BAD_REQUEST, "invalid_json", "The body is not valid JSON.") from None


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form; one without a value counts as left out, and each may come only once (RFC 6749 §3.2).

    Raises: Problem (400 malformed, 408, 413, 415).
    """
    body = await read_bytes(request, "application/x-www-form-urlencoded", MAX_BODY_BYTES)
    try:
        pairs = parse_qsl(body.decode(), errors="strict", max_num_fields=MAX_FORM_FIELDS)
    except ValueError:
        raise Problem(HTTPStatus.BAD_REQUEST, "invalid_form", "The body is not a valid form.") from None
    form = dict(pairs)
    if len(form) < len(pairs):
        raise Problem(HTTPStatus.BAD_REQUEST, "invalid_form", "A field is given more than once.")
    return form
