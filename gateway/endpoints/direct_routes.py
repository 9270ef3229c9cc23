"""Routes plain WebSocket URLs to their endpoints, past Starlette's router and middleware.

Any other request, and each URL that is not written plainly, is left to Starlette. docs/connects.md has the savings.

Keeps: a handshake is routed here only as Starlette would route it, and every response is the same.
"""

import re
from collections.abc import Iterable
from typing import Final

from starlette.routing import BaseRoute, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.endpoints.acceptor import Acceptor
from gateway.endpoints.base import Endpoint
from gateway.endpoints.handshake import Handshake, Header, Wrap

_PLAIN: Final = re.compile(rb"(?:/[A-Za-z0-9_-]+)+/?")
"""A path that is the same before and after decoding."""
_PARAMETER: Final = re.compile(r"\{(\w+)(:\w+)?\}")


class FamilyRoute(WebSocketRoute):
    """A WebSocket URL and its endpoint."""

    def __init__(self, path: str, endpoint: Endpoint, connections: Acceptor) -> None:
        self._endpoint = endpoint
        self._connections = connections
        super().__init__(path, self._serve, name=path)
        self.app = self._serve  # Starlette would make a WebSocket object for a method

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.serve(Handshake(scope, receive, send))

    async def serve(self, handshake: Handshake) -> None:
        """Accept or reject the handshake."""
        await self._connections.serve(handshake, self._endpoint)


class DirectRoutes:
    """ASGI middleware. `headers` are those of accepted handshakes; `wrap` adds them to other responses."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute], headers: tuple[Header, ...], wrap: Wrap) -> None:
        self._app = app
        self._headers = headers
        self._wrap = wrap
        self._fixed: dict[str, FamilyRoute] = {}
        self._families: dict[tuple[str, bool], tuple[FamilyRoute, str]] = {}
        """By the path before the last segment, and whether a slash follows it; with the name of that segment."""
        for route in routes:
            if isinstance(route, FamilyRoute):
                self._add(route)

    def _add(self, route: FamilyRoute) -> None:
        path = route.path
        before, _, last = path.removesuffix("/").rpartition("/")
        parameter = _PARAMETER.fullmatch(last)
        if parameter is None:
            self._fixed[path] = route
        elif not (parameter[2] and path.endswith("/")):  # any text may end with the slash itself
            self._families[before, path.endswith("/")] = route, parameter[1]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or handshake."""
        route = self._find(scope) if scope["type"] == "websocket" and not scope["root_path"] else None
        if route is None:
            await self._app(scope, receive, send)
        else:
            await route.serve(Handshake(scope, receive, send, self._headers, self._wrap))

    def _find(self, scope: Scope) -> FamilyRoute | None:
        """The route of a plain URL, with which the scope is completed as Starlette does."""
        raw: bytes = scope["raw_path"]
        if _PLAIN.fullmatch(raw) is None:
            return None
        path = raw.decode()
        route, parameters = self._fixed.get(path), {}
        if route is None:
            before, _, last = path.removesuffix("/").rpartition("/")
            family = self._families.get((before, path.endswith("/")))
            if family is None:
                return None
            route, name = family
            parameters = {name: last}
        scope["route"], scope["path_params"] = route, parameters
        return route
