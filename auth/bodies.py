"""Reading request bodies: bounded in size and in time, strictly typed; every other outcome is a Problem."""

import asyncio
from contextlib import aclosing
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import ClientDisconnect, Request

from auth.problems import Problem

MAX_BODY_BYTES: Final = 16 * 1024
MAX_FORM_FIELDS: Final = 32
TIMEOUT_S: Final = 10.0  # for the whole body

T = TypeVar("T")


async def read_json(request: Request, shape: type[T]) -> T:
    """The JSON body as `shape` (a msgspec Struct); unknown fields are ignored.

    Raises: Problem (400 not JSON, 408, 413, 415, 422 not of this shape).
    """
    _require_type(request, "application/json")
    body = await _read(request)
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
    _require_type(request, "application/x-www-form-urlencoded")
    body = await _read(request)
    try:
        pairs = parse_qsl(body.decode(), errors="strict", max_num_fields=MAX_FORM_FIELDS)
    except ValueError:
        raise Problem(HTTPStatus.BAD_REQUEST, "invalid_form", "The body is not a valid form.") from None
    form = dict(pairs)
    if len(form) < len(pairs):
        raise Problem(HTTPStatus.BAD_REQUEST, "invalid_form", "A field is given more than once.")
    return form


def _require_type(request: Request, wanted: str) -> None:
    """Also keeps cross-site forms out of JSON endpoints: a browser asks before it sends this type (CORS preflight)."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != wanted:
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", f"The body must be {wanted}.")


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

    The rest of the body is the server's to drop as it comes, for as long as a request may take.
    """
    detail = f"A body has at most {MAX_BODY_BYTES} bytes."
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", detail)
