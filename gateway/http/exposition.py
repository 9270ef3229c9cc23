"""What Prometheus asks: `/metrics`, of a gateway or of auth's own process."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from auth.operation import Caller, operation
from auth.service_keys import ServiceKeys
from gateway.http.answers import NO_STORE
from gateway.metrics.exposition import CONTENT_TYPE, Registry
from gateway.problems import Problem, forbidden, not_found
from gateway.settings import Settings


class MetricsRoutes:
    """`/metrics`. METRICS_PORT, if there is one, is the operator's own network's, and `/metrics` is nowhere else."""

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self._registry = registry
        self._port = settings.metrics_port
        self._is_open = not settings.is_production
        self._service_keys = ServiceKeys(settings.service_keys)

    def routes(self) -> list[BaseRoute]:
        """The route; it needs no exception handler of the application."""
        return [Route("/metrics", self._show, methods=["GET"])]

    @operation(
        "Everything that is counted and measured, for Prometheus.",
        Caller.ANYBODY,
        {200: "text/plain"},
        {403: "forbidden", 404: "not_found"},
        details="In production with a service key, or on METRICS_PORT alone.",
    )
    async def _show(self, request: Request) -> Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal.response()
        return Response(self._registry.exposition(), headers={**NO_STORE, "Content-Type": CONTENT_TYPE})

    def _refusal(self, request: Request) -> Problem | None:
        if self._port is not None:
            server = request.scope.get("server")
            return None if server is not None and server[1] == self._port else not_found()
        if self._is_open or self._service_keys.has(request):
            return None
        return forbidden("A service key is needed (X-Service-Key).")
