"""`/metrics` for Prometheus, in a gateway or in a standalone auth process."""

from typing import Final

from starlette import types
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.api.schemas import NO_STORE
from gateway.config.settings import Settings
from gateway.http.problems import Problem, not_found
from gateway.metrics.exposition import CONTENT_TYPE, Registry
from httpapi.operation import Audience, Scope, operation
from httpapi.security_headers import SecurityHeaders
from httpapi.service_keys import ServiceKeys

METRICS: Final = "/metrics"


class MetricsRoutes:
    """`/metrics` on the application's port; no route if METRICS_PORT is set."""

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self._registry = registry
        self._is_elsewhere = settings.metrics_port is not None
        self._is_open = not settings.is_production
        self._service_keys = ServiceKeys(settings.service_keys)

    def routes(self) -> list[BaseRoute]:
        """The route; it works without the application's exception handlers."""
        return [] if self._is_elsewhere else [Route(METRICS, self._show, methods=["GET"])]

    @operation(
        "Get the metrics of this node in Prometheus' text format.",
        Audience.ANYBODY,
        {200: "text/plain"},
        {403: "forbidden"},
        details="In production a service key is required.",
        scope=Scope.ADMIN,
    )
    async def _show(self, request: Request) -> Response:
        if not self._is_open:
            try:
                self._service_keys.require(request, self._show)
            except Problem as problem:
                return problem.response()
        return _exposition(self._registry)


class MetricsPort:
    """ASGI middleware: METRICS_PORT, which belongs to the operator's own network, serves only `/metrics`."""

    def __init__(self, app: types.ASGIApp, registry: Registry, settings: Settings) -> None:
        self._app = app
        self._registry = registry
        self._port = settings.metrics_port
        self._respond = SecurityHeaders(self._respond_here)

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        """Handle one request or handshake. The port is the socket's own; no header changes it."""
        server = scope.get("server")
        if self._port is None or server is None or server[1] != self._port:
            await self._app(scope, receive, send)
        else:
            await self._respond(scope, receive, send)

    async def _respond_here(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        is_metrics = scope["type"] == "http" and scope["path"] == METRICS and scope["method"] in ("GET", "HEAD")
        response = _exposition(self._registry) if is_metrics else not_found().response()
        await response(scope, receive, send)


def _exposition(registry: Registry) -> Response:
    return Response(registry.exposition(), headers={**NO_STORE, "Content-Type": CONTENT_TYPE})
