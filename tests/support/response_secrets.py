"""No error, metric or audit record may hold a secret: a test whose HTTP client receives one fails.

Every response of httpx with a status of 400 or more, of /metrics and of the audit log is read.
"""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Final

import httpx

from tests.support.log_secrets import PASSWORDS, SHAPES

READ_WHATEVER_THE_STATUS: Final = ("/metrics", "/api/v1/audit")
_found: list[str] = []


def watch_responses() -> None:
    """Read every response from now on, in this process."""
    httpx.Client.send = _watching(httpx.Client.send)  # type: ignore[method-assign]
    httpx.AsyncClient.send = _watching_async(httpx.AsyncClient.send)  # type: ignore[method-assign]


def secrets_received() -> list[str]:
    """What the responses since the last call held, without the secrets themselves."""
    found, _found[:] = list(_found), []
    return found


def _watching(send: Callable[..., httpx.Response]) -> Callable[..., httpx.Response]:
    @wraps(send)
    def sent(*args: Any, stream: bool = False, **options: Any) -> httpx.Response:
        response = send(*args, stream=stream, **options)
        if not stream:
            _read(response)
        return response

    return sent


def _watching_async(send: Callable[..., Awaitable[httpx.Response]]) -> Callable[..., Awaitable[httpx.Response]]:
    @wraps(send)
    async def sent(*args: Any, stream: bool = False, **options: Any) -> httpx.Response:
        response = await send(*args, stream=stream, **options)
        if not stream:
            _read(response)
        return response

    return sent


def _read(response: httpx.Response) -> None:
    request = response.request
    if response.status_code < 400 and request.url.path not in READ_WHATEVER_THE_STATUS:
        return
    text = response.content + b"\n".join(b": ".join(header) for header in response.headers.raw)
    found = [what for what, shape in SHAPES.items() if shape.search(text)]
    found += ["a password" for password in PASSWORDS if password.encode() in text]
    _found.extend(f"{request.method} {request.url.path}: {response.status_code} with {what}" for what in found)
