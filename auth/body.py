"""A request's body: of one media type, bounded in size and in time; every other outcome is a Problem."""

import asyncio
from contextlib import aclosing
from http import HTTPStatus
from typing import Final

from starlette.requests import ClientDisconnect, Request

from auth.problem import Problem

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
    except ClientDisconnect:  # nobody is left to read this
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
