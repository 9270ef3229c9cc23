"""What every answer of a node has in common, whoever gives it: the node's name, CORS and security headers.

Pages of origins that are not allowed get 403 here, before any route: the guard of routes that ask for no token, such as
a login. WebSocket handshakes of theirs are refused at their own door, where they are counted.
"""

import asyncio
from http import HTTPStatus
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.identity import ForeignPage
from gateway.origins import Origins
from gateway.problems import internal, not_found, unavailable

DENIAL = "websocket.http.response"
"""The ASGI extension by which a handshake can be refused with an answer of one's own."""

ABOUT: Final = """\
The HTTP side of the gateway; `/asyncapi.json` has the WebSockets. Every answer names its replica in `X-Gateway-Node`.
"""
REFUSALS: Final = {HTTPStatus.FORBIDDEN.value: "forbidden_origin"}
"""What is said here of every route, for the API's document."""

_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key",
    "Access-Control-Max-Age": "600",
}
_ASKED_METHOD = "access-control-request-method"
_READABLE = "Retry-After, X-Gateway-Node"
_SECURITY = {
    # 'self' is a WebSocket to the same host too, in every browser of today (CSP 3; Safari since 15.4)
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Set where the route has not said otherwise."""


class Edge:
    """The application, with the headers of its node."""

    def __init__(self, app: ASGIApp, node_id: str, origins: Origins) -> None:
        self._app = app
        self._node_id = node_id
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or handshake."""
        match scope["type"]:
            case "http":
                await self._serve_http(Request(scope), receive, send)
            case "websocket":
                await self._serve_websocket(scope, receive, send)
            case _:
                await self._app(scope, receive, send)

    async def _serve_http(self, request: Request, receive: Receive, send: Send) -> None:
        origin = request.headers.get("origin")
        allowed = origin if origin is not None and self._origins.allows(origin, request) else None

        has_started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                headers = MutableHeaders(scope=message)
                headers["X-Gateway-Node"] = self._node_id
                headers.add_vary_header("Origin")
                for name, value in _SECURITY.items():
                    headers.setdefault(name, value)
                if allowed is not None:
                    headers["Access-Control-Allow-Origin"] = allowed
                    headers["Access-Control-Allow-Credentials"] = "true"
                    headers["Access-Control-Expose-Headers"] = _READABLE
            await send(message)

        app: ASGIApp = self._app
        if origin is not None and allowed is None:
            app = ForeignPage().response()
        elif _is_preflight(request):
            app = Response(status_code=HTTPStatus.NO_CONTENT, headers=_PREFLIGHT)
        try:
            await app(request.scope, receive, send_with_headers)
        except asyncio.CancelledError:  # by the server, which is at the end of its patience: this node is leaving
            if has_started:
                raise
            await unavailable().response()(request.scope, receive, send_with_headers)
        except Exception:
            if not has_started:  # here, as it would go without the node's name where it is most wanted
                await internal().response()(request.scope, receive, send_with_headers)
            raise

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = (b"x-gateway-node", self._node_id.encode())
        is_waiting = True

        async def send_with_name(message: Message) -> None:
            nonlocal is_waiting
            if message["type"] in ("websocket.accept", "websocket.http.response.start"):
                is_waiting = False
                message = {**message, "headers": [*message.get("headers", ()), name]}
            elif is_waiting and message["type"] == "websocket.close" and DENIAL in scope.get("extensions", {}):
                # the router's way to say that there is no such URL; a bare close would be an answer without a name
                await not_found().response()(scope, receive, send_with_name)
                return
            await send(message)

        await self._app(scope, receive, send_with_name)


def _is_preflight(request: Request) -> bool:
    return request.method == "OPTIONS" and "origin" in request.headers and _ASKED_METHOD in request.headers
