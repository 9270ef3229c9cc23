"""Reading request bodies: bounded in size and in time, strictly typed; every other outcome is a Problem."""

import asyncio
from contextlib import aclosing
from http import HTTPStatus
from typing import Final, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from gateway.codes import ErrorCode
from gateway.dialects.fields import has_lone_surrogate
from gateway.problems import Problem, invalid_field

MAX_BODY_BYTES: Final = 64 * 1024
TIMEOUT_S: Final = 10.0
"""For the whole body, however it trickles in."""

T = TypeVar("T")


async def read_body(request: Request, shape: type[T]) -> T:
    """The JSON body as `shape` (a msgspec Struct); unknown fields are ignored.

    Raises: Problem (400 not JSON, 408, 413, 415, 422 not of this shape).
    """
    _require_json(request)
    body = await _read(request)
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


def _require_json(request: Request) -> None:
    """Also keeps out cross-site forms: before it sends this type to another origin, a browser asks (CORS preflight)."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != "application/json":
        detail = "The body must be application/json."
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)


async def _read(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(TIMEOUT_S), aclosing(request.stream()) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise _too_large()
    except TimeoutError:
        headers = {"Connection": "close"}  # rather than wait for the rest
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, "timeout", "The body took too long.", headers=headers) from None
    except ClientDisconnect:  # nobody is left to read this
        raise Problem(HTTPStatus.BAD_REQUEST, "incomplete", "The body ended too soon.") from None
    return bytes(body)


def _too_large() -> Problem:
    """The connection stays open: to close it with bytes unread resets it, and the client would never see the answer.

    The rest of the body is dropped as it comes, for as long as a request may take (gateway.http_transport).
    """
    detail = f"A body has at most {MAX_BODY_BYTES} bytes."
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", detail)
