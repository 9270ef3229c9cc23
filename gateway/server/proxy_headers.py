"""Adds to uvicorn's `X-Forwarded-*` middleware every form of `X-Forwarded-Proto` that proxies send.

uvicorn accepts one lower-case word only, ignores `HTTPS` and `https,http`, and can set an HTTP request's scheme to
`wss`.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_NAME: Final = b"x-forwarded-proto"
_SCHEMES: Final = {b"http": b"http", b"ws": b"http", b"https": b"https", b"wss": b"https"}


class ProxyHeaders:
    """Sets the scheme and the client's address from the headers of trusted proxies; ignores those of other peers.

    Of several schemes the first counts, which is that of the client's own connection, as in Express and Django. A
    client that forges one changes only the URLs in its own responses.
    """

    def __init__(self, app: ASGIApp, trusted: Iterable[IPv4Network | IPv6Network]) -> None:
        # Any: uvicorn and Starlette have different types for ASGI
        self._app: Any = ProxyHeadersMiddleware(app, [str(network) for network in trusted])  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or handshake."""
        values = [value for name, value in scope["headers"] if name == _NAME]
        if values:
            scheme = _SCHEMES.get(values[0].partition(b",")[0].strip().lower())
            others = [header for header in scope["headers"] if header[0] != _NAME]
            scope["headers"] = others if scheme is None else [*others, (_NAME, scheme)]
        await self._app(scope, receive, send)
