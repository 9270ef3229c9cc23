"""The security headers of every response: of both processes, errors, redirects and rejected handshakes included.

`gateway.transport` adds HEADERS to the responses that it sends before any application is called.
"""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HSTS: Final = "max-age=31536000"
"""A year (RFC 6797). Without `includeSubDomains` and `preload`: other hosts of the domain are not ours."""
HEADERS: Final = {
    # 'self' also allows a WebSocket to the same host, in all current browsers (CSP 3; Safari since 15.4)
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Set unless the route has set another value."""
_RESPONSES: Final = frozenset(("http.response.start", "websocket.http.response.start"))


class SecurityHeaders:
    """ASGI middleware: adds the headers, and HSTS in production to clients that connect by TLS.

    TLS is known from the scope's scheme, which a trusted proxy sets, or from PUBLIC_URL. Must enclose what responds to
    unexpected exceptions; Starlette does that outside of the middleware that an application lists.
    """

    def __init__(self, app: ASGIApp, public_url: str = "", *, is_production: bool = False) -> None:
        self._app = app
        self._is_production = is_production
        self._is_https = public_url.startswith("https:")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or handshake."""
        by_tls = self._is_https or scope.get("scheme") in ("https", "wss")
        has_hsts = by_tls and self._is_production

        async def send_with_headers(message: Message) -> None:
            if message["type"] in _RESPONSES:
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if has_hsts:
                    headers["Strict-Transport-Security"] = HSTS
            await send(message)

        await self._app(scope, receive, send_with_headers)
