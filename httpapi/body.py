"""A request's body: of one media type, bounded in size and in time; every other outcome is a Problem."""

import asyncio
from contextlib import aclosing
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import ClientDisconnect, Request

from httpapi.bounded_json import has_lone_surrogate, read_shape
from httpapi.errors import InvalidJson, Problem, TooDeep

MAX_BODY_BYTES: Final = 64 * 1024
SMALL_BODY_BYTES: Final = 16 * 1024
"""For forms and accounts, which have a few short fields; a caller needs no token to send them."""
_MAX_DETAIL: Final = 256
"""In characters: the detail can contain the name of an unknown field, which may be as long as the body."""
MAX_FORM_FIELDS: Final = 32

T = TypeVar("T")


async def read_json(request: Request, shape: type[T], max_bytes: int = MAX_BODY_BYTES) -> T:
    """The JSON body as `shape` (a msgspec Struct, which defines whether unknown fields are rejected or ignored).

    Raises: Problem (400 not JSON, 408, 413, 415, 422 not of this shape).
    """
    body = await read_bytes(request, "application/json", max_bytes)
    try:
        return read_shape(body, shape)
    except msgspec.ValidationError as error:  # its text has the expected type and the path, never the value
        detail = f"{str(error)[:_MAX_DETAIL]}."
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_field", detail) from None
    except TooDeep:
        raise Problem(HTTPStatus.BAD_REQUEST, "invalid_json", "The body is nested too deeply.") from None
    except InvalidJson:
        if has_lone_surrogate(body):
            raise invalid_text() from None
        raise Problem(HTTPStatus.BAD_REQUEST, "invalid_json", "The body is not valid JSON.") from None


def invalid_text() -> Problem:
    """422 for a text that our databases cannot store."""
    detail = "The text contains characters that cannot be stored."
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_text", detail)


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form; one without a value counts as left out, and each may come only once (RFC 6749 §3.2).

    Raises: Problem (400 malformed, 408, 413, 415).
    """
    body = await read_bytes(request, "application/x-www-form-urlencoded", SMALL_BODY_BYTES)
    try:
        pairs = parse_qsl(body.decode(), errors="strict", max_num_fields=MAX_FORM_FIELDS)
    except ValueError:
        raise Problem(HTTPStatus.BAD_REQUEST, "invalid_form", "The body is not a valid form.") from None
    form = dict(pairs)
    if len(form) < len(pairs):
        raise Problem(HTTPStatus.BAD_REQUEST, "invalid_form", "A field is given more than once.")
    return form


TIMEOUT_S: Final = 10.0
"""For the whole body, however it trickles in."""


async def read_bytes(request: Request, media_type: str, max_bytes: int) -> bytes:
    """The whole body.

    Raises: Problem (400 cut short, 408, 413, 415).
    """
    _require_type(request, media_type)
    body = bytearray()
    try:
        async with asyncio.timeout(TIMEOUT_S), aclosing(request.stream()) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > max_bytes:
                    raise _too_large(max_bytes)
    except TimeoutError:
        headers = {"Connection": "close"}  # rather than wait for the rest
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, "timeout", "The body took too long.", headers=headers) from None
    except ClientDisconnect:  # the client is gone, so no response can reach it
        raise Problem(HTTPStatus.BAD_REQUEST, "incomplete", "The body ended too soon.") from None
    return bytes(body)


def _require_type(request: Request, wanted: str) -> None:
    """Also keeps cross-site forms out of JSON endpoints: a browser asks before it sends this type (CORS preflight)."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != wanted:
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", f"The body must be {wanted}.")


def _too_large(max_bytes: int) -> Problem:
    """The connection stays open: to close it with bytes unread resets it, and the client would never see the answer.

    The rest of the body is the server's to drop as it comes, for as long as a request may take.
    """
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", f"A body has at most {max_bytes} bytes.")
