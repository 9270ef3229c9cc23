"""The headers of every response of a node: the node's name and CORS.

Pages whose origin is not allowed get 403 here, before routing, which also protects routes without a token, such as the
login. Their WebSocket handshakes are rejected by the endpoint, where they are counted.
"""

import asyncio
import logging
import time
from http import HTTPStatus
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.operator.metrics import METRICS
from gateway.api.operator.probes import LIVEZ, READYZ
from gateway.authentication.origins import Origins
from gateway.http.problems import internal, not_found, unavailable
from httpapi.errors import FORBIDDEN_ORIGIN, forbidden_origin

logger = logging.getLogger("gateway.http")

MAX_LOGGED: Final = 200
"""The most characters of a method or a path in the log."""
DENIAL = "websocket.http.response"
"""The ASGI extension for rejecting a handshake with an HTTP response."""

ABOUT: Final = """\
The HTTP API of the gateway. Its WebSockets: [/docs/ws](docs/ws), as AsyncAPI `/asyncapi.json`.
Every response names its node in `X-Gateway-Node`.
"""
REFUSALS: Final = {HTTPStatus.FORBIDDEN.value: FORBIDDEN_ORIGIN}
"""The error responses that this middleware adds to every route, for the OpenAPI document."""

_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key",
    "Access-Control-Max-Age": "600",
}
_PROBES = frozenset((LIVEZ, READYZ, METRICS))
"""Polled by machines, `up` among them; not logged, so that they do not hide the requests of people."""
_REQUEST_METHOD = "access-control-request-method"
_READABLE = "Retry-After, X-Gateway-Node, X-Request-Id"


class Edge:
    """ASGI middleware: adds the headers, checks the origin of HTTP requests, and logs them if `logs_requests`."""

    def __init__(self, app: ASGIApp, node_id: str, origins: Origins, *, logs_requests: bool = False) -> None:
        self._app = app
        self._node_id = node_id
        self._origins = origins
        self._logs_requests = logs_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or handshake."""
        match scope["type"]:
            case "http" if self._logs_requests and scope["path"] not in _PROBES:
                await self._serve_logged(Request(scope), receive, send)
            case "http":
                await self._serve_http(Request(scope), receive, send)
            case "websocket":
                await self._serve_websocket(scope, receive, send)
            case _:
                await self._app(scope, receive, send)

    async def _serve_logged(self, request: Request, receive: Receive, send: Send) -> None:
        """Serve the request, and log its path without the query, which may contain a token."""
        started, status = time.perf_counter(), 0

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._serve_http(request, receive, send_and_note)
        finally:
            fields = {
                "method": request.method[:MAX_LOGGED],
                "path": request.url.path[:MAX_LOGGED],
                "status": status or "none",
                "ms": round((time.perf_counter() - started) * 1000, 1),
            }
            logger.info("request", extra={"fields": fields})

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
                if allowed is not None:
                    headers["Access-Control-Allow-Origin"] = allowed
                    headers["Access-Control-Allow-Credentials"] = "true"
                    headers["Access-Control-Expose-Headers"] = _READABLE
            await send(message)

        app: ASGIApp = self._app
        if origin is not None and allowed is None:
            app = forbidden_origin().response()
        elif _is_preflight(request):
            app = Response(status_code=HTTPStatus.NO_CONTENT, headers=_PREFLIGHT)
        try:
            await app(request.scope, receive, send_with_headers)
        except asyncio.CancelledError:  # by the server: this node shuts down, and the time for requests is over
            if has_started:
                raise
            await unavailable().response()(request.scope, receive, send_with_headers)
        except Exception:
            if not has_started:  # sent from here, so that the response has the node's name, which matters most now
                await internal().response()(request.scope, receive, send_with_headers)
            raise

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = node_header(self._node_id)
        is_undecided = True

        async def send_with_name(message: Message) -> None:
            nonlocal is_undecided
            if message["type"] in ("websocket.accept", "websocket.http.response.start"):
                is_undecided = False
                message = {**message, "headers": [*message.get("headers", ()), name]}
            elif is_undecided and message["type"] == "websocket.close" and DENIAL in scope.get("extensions", {}):
                # the router closes like this if no route matches; its response would lack the node's name
                await not_found().response()(scope, receive, send_with_name)
                return
            await send(message)

        await self._app(scope, receive, send_with_name)


def node_header(node_id: str) -> tuple[bytes, bytes]:
    """The header that names the node."""
    return b"x-gateway-node", node_id.encode()


def _is_preflight(request: Request) -> bool:
    return request.method == "OPTIONS" and "origin" in request.headers and _REQUEST_METHOD in request.headers
