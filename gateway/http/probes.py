"""What orchestrators ask: `/livez`, `/readyz`."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from auth.operation import Caller, operation
from gateway.health import Health
from gateway.http.answers import answer
from gateway.http.shapes import Alive, Readiness


class ProbeRoutes:
    """The probes of this node."""

    def __init__(self, health: Health, node_id: str) -> None:
        self._health = health
        self._node_id = node_id

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [
            Route("/livez", self._livez, methods=["GET"]),
            Route("/readyz", self._readyz, methods=["GET"]),
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
