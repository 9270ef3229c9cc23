"""Adds to uvicorn's `X-Forwarded-*` middleware every form of `X-Forwarded-Proto` that proxies send.

uvicorn accepts one lower-case word only, ignores `HTTPS` and `https,http`, and can set an HTTP request's scheme to
`wss`.
"""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from httpapi.client_address import is_trusted_peer

_NAME: Final = b"x-forwarded-proto"
_REQUEST_ID: Final = b"x-request-id"
_SCHEMES: Final = {b"http": b"http", b"ws": b"http", b"https": b"https", b"wss": b"https"}


class ProxyHeaders:
    """Sets the scheme and the client's address from the headers of trusted proxies; ignores those of other peers.

    Removes the `X-Request-Id` of other peers, so that a client cannot take the id of another's request in the logs.

    Of several schemes the first counts, which is that of the client's own connection, as in Express and Django. A
    client that forges one changes only the URLs in its own responses.
    """

    def __init__(self, app: ASGIApp, trusted: Iterable[IPv4Network | IPv6Network]) -> None:
        trusted = self._trusted = tuple(trusted)
        # Any: uvicorn and Starlette have different types for ASGI
        self._app: Any = ProxyHeadersMiddleware(app, [str(network) for network in trusted])  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or handshake."""
        headers = scope["headers"]
        is_named = any(name == _REQUEST_ID for name, _ in headers)
        if is_named and not is_trusted_peer(HTTPConnection(scope), self._trusted):
            headers = scope["headers"] = [header for header in headers if header[0] != _REQUEST_ID]
        values = [value for name, value in headers if name == _NAME]
        if values:
            scheme = _SCHEMES.get(values[0].partition(b",")[0].strip().lower())
            others = [header for header in headers if header[0] != _NAME]
            scope["headers"] = others if scheme is None else [*others, (_NAME, scheme)]
        await self._app(scope, receive, send)
