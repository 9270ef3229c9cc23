"""The probes for orchestrators: `/livez` and `/readyz`."""

from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.api.schemas import Alive, AuthReadiness, Readiness, answer
from gateway.server.health import AuthHealth, Health
from httpapi.operation import Audience, operation

LIVEZ: Final = "/livez"
READYZ: Final = "/readyz"


class ProbeRoutes:
    """The probes of this node."""

    def __init__(self, health: Health, node_id: str) -> None:
        self._health = health
        self._node_id = node_id

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [
            Route(LIVEZ, self._livez, methods=["GET"]),
            Route(READYZ, self._readyz, methods=["GET"]),
        ]

    @operation("Liveness probe: whether this process works.", Audience.ANYBODY, {200: Alive, 503: Readiness})
    async def _livez(self, _: Request) -> Response:
        """Alive while the event loop runs and no essential task has died. An outage of Redis does not count."""
        if self._health.is_alive:
            return answer({"status": "alive", "node": self._node_id})
        return answer(self._health.report() | {"node": self._node_id}, HTTPStatus.SERVICE_UNAVAILABLE)

    @operation(
        "Readiness probe: whether this node takes connections.", Audience.ANYBODY, {200: Readiness, 503: Readiness}
    )
    async def _readyz(self, _: Request) -> Response:
        status = HTTPStatus.OK if self._health.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        return answer(self._health.report() | {"node": self._node_id}, status)


class AuthProbeRoutes:
    """The readiness of a standalone auth process; its `/livez` is defined by auth."""

    def __init__(self, health: AuthHealth) -> None:
        self._health = health

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        return [Route(READYZ, self._readyz, methods=["GET"])]

    @operation(
        "Readiness probe: whether this process takes requests.",
        Audience.ANYBODY,
        {200: AuthReadiness, 503: AuthReadiness},
    )
    async def _readyz(self, _: Request) -> Response:
        status = HTTPStatus.OK if self._health.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        return answer(self._health.report(), status)
