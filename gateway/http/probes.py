"""What orchestrators and Prometheus ask: `/livez`, `/readyz`, `/metrics`."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from auth.operation import Caller, operation
from auth.service_keys import ServiceKeys
from gateway.health import Health
from gateway.http.answers import NO_STORE, answer
from gateway.http.shapes import Alive, Readiness
from gateway.metrics import CONTENT_TYPE, Metrics
from gateway.problems import forbidden, not_found
from gateway.settings import Settings


class ProbeRoutes:
    """The probes of this node."""

    def __init__(self, health: Health, metrics: Metrics, node_id: str, settings: Settings) -> None:
        self._health = health
        self._metrics = metrics
        self._node_id = node_id
        self._metrics_port = settings.metrics_port
        self._is_open = not settings.is_production
        self._service_keys = ServiceKeys(settings.service_keys)

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [
            Route("/livez", self._livez, methods=["GET"]),
            Route("/readyz", self._readyz, methods=["GET"]),
            Route("/metrics", self._show_metrics, methods=["GET"]),
        ]

    @operation("Whether this process should run on.", Caller.ANYBODY, {200: Alive, 503: Readiness})
    async def _livez(self, _: Request) -> Response:
        """The loop turns, and no task has died that only a restart brings back; one would not bring back Redis."""
        if self._health.is_alive:
            return answer({"status": "alive", "node": self._node_id})
        return answer(self._health.report() | {"node": self._node_id}, HTTPStatus.SERVICE_UNAVAILABLE)

    @operation("Whether new connections should come here.", Caller.ANYBODY, {200: Readiness, 503: Readiness})
    async def _readyz(self, _: Request) -> Response:
        status = HTTPStatus.OK if self._health.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        return answer(self._health.report() | {"node": self._node_id}, status)

    @operation(
        "Everything that is counted and measured, for Prometheus.",
        Caller.ANYBODY,
        {200: "text/plain"},
        {403: "forbidden", 404: "not_found"},
        details="In production with a service key, or on METRICS_PORT alone.",
    )
    async def _show_metrics(self, request: Request) -> Response:
        self._admit(request)
        return Response(self._metrics.exposition(), headers={**NO_STORE, "Content-Type": CONTENT_TYPE})

    def _admit(self, request: Request) -> None:
        """METRICS_PORT, if there is one, is the operator's own network's, and `/metrics` is nowhere else.

        Raises: Problem (403, 404).
        """
        if self._metrics_port is not None:
            server = request.scope.get("server")
            if server is None or server[1] != self._metrics_port:
                raise not_found()
        elif not self._is_open and not self._service_keys.has(request):
            raise forbidden("A service key is needed (X-Service-Key).")
