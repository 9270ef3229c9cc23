"""The replicas of the system over HTTP, for operators: each replica lists all of them."""

from datetime import UTC, datetime
from typing import Protocol, TypedDict

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.schemas import answer
from gateway.protocol.replica_report import KEPT_S, Seen
from httpapi.operation import Audience, Scope, operation
from httpapi.resource import api_resource
from httpapi.service_keys import ServiceKeys


class ReplicaObject(TypedDict):
    """One replica, `age_s` seconds ago. Rates and means are those of one second; a mean is null if there was none.

    `gaps` and `repaired_events` count from the start of the process: holes in the streams of chats, and the events
    that were read from the database to close them.
    """

    id: str
    version: str
    state: str
    dependencies: dict[str, bool]
    started_at: datetime
    age_s: float
    connections: int
    seats: int
    stored_per_s: float
    delivered_per_s: float
    delivery_lag_ms: float | None
    loop_lag_ms: float | None
    gaps: int
    repaired_events: int


class ReplicaList(TypedDict):
    """The replicas, by id; `answered_by` is the one that sent this response.

    `controls` is true under `chat-gateway up`, where `/api/v1/up/…` can stop replicas and cut Redis.
    """

    answered_by: str
    controls: bool
    replicas: list[ReplicaObject]


class Replicas(Protocol):
    """Implemented by `gateway.node.upkeep.replica_reporter`."""

    replica: str

    async def all(self) -> list[Seen]:
        """Every replica that is known, by name."""
        ...


class ReplicaRoutes:
    """`/api/v1/replicas`."""

    def __init__(self, service_keys: ServiceKeys, replicas: Replicas, *, has_controls: bool) -> None:
        self._service_keys = service_keys
        self._replicas = replicas
        self._has_controls = has_controls

    def routes(self) -> list[BaseRoute]:
        """The route."""
        return [api_resource("/api/v1/replicas", GET=self._list)]

    @operation(
        "List the replicas: their state, connections, rates, lag and repaired gaps.",
        Audience.SERVICE,
        {200: ReplicaList},
        details=f"A replica reports every second, and is listed until {KEPT_S:.0f} s after its last report. While "
        "Redis is down, only the one that responds is listed.",
        scope=Scope.ADMIN,
    )
    async def _list(self, request: Request) -> Response:
        self._service_keys.require(request, self._list)
        replicas = [_object(seen) for seen in await self._replicas.all()]
        return answer(ReplicaList(answered_by=self._replicas.replica, controls=self._has_controls, replicas=replicas))


def _object(seen: Seen) -> ReplicaObject:
    report = seen.report
    return {
        "id": report.replica,
        "version": report.version,
        "state": report.state,
        "dependencies": report.dependencies,
        "started_at": datetime.fromtimestamp(report.started_at, UTC),
        "age_s": round(seen.age_s, 3),
        "connections": report.connections,
        "seats": report.seats,
        "stored_per_s": report.stored_per_s,
        "delivered_per_s": report.delivered_per_s,
        "delivery_lag_ms": report.delivery_lag_ms,
        "loop_lag_ms": report.loop_lag_ms,
        "gaps": report.gaps,
        "repaired_events": report.repaired_events,
    }
