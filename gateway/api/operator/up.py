"""Faults on purpose, over HTTP: only under `chat-gateway up`, to see on the operator's page that nothing is lost."""

from http import HTTPStatus
from typing import Final, Protocol

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.api.operator.replicas import Replicas
from gateway.http.parameters import ANY_TEXT, path_segment
from gateway.http.problems import Problem, not_found
from gateway.protocol.codes import ErrorCode
from httpapi.operation import Audience, Scope, operation
from httpapi.resource import api_resource
from httpapi.service_keys import ServiceKeys

_BEFORE_REPLICA: Final = "/api/v1/up/replicas/"
_STOP: Final = "/stop"


class Controls(Protocol):
    """Implemented by `gateway.up.startup.SupervisedBarrier`. Both methods return at once."""

    has_own_redis: bool
    """Whether `up` has started Redis, and so can cut it."""

    def stop(self, pid: int) -> None:
        """Have the replica with this process id killed; it is started again."""
        ...

    def cut_redis(self) -> None:
        """Have Redis killed; it is started again some seconds later."""
        ...


class UpRoutes:
    """`/api/v1/up/replicas/{replica_id}/stop` and `/api/v1/up/redis/cut`; no route without `controls`."""

    def __init__(self, service_keys: ServiceKeys, replicas: Replicas, controls: Controls | None) -> None:
        self._service_keys = service_keys
        self._replicas = replicas
        self._controls = controls

    def routes(self) -> list[BaseRoute]:
        """The routes."""
        if self._controls is None:
            return []
        return [
            api_resource(f"{_BEFORE_REPLICA}{{replica_id:{ANY_TEXT}}}{_STOP}", POST=self._stop),
            api_resource("/api/v1/up/redis/cut", POST=self._cut_redis),
        ]

    @operation(
        "Kill a replica, as a crash would; it is started again.",
        Audience.SERVICE,
        {202: None},
        {404: "not_found"},
        details="Only under `chat-gateway up`. A replica that is starting stays as it is.",
        scope=Scope.ADMIN,
    )
    async def _stop(self, request: Request) -> Response:
        self._service_keys.require(request, self._stop)
        name = path_segment(request, _BEFORE_REPLICA, _STOP)
        pids = [seen.report.pid for seen in await self._replicas.all() if seen.report.replica == name]
        if not pids or self._controls is None:
            raise not_found()
        stop = BackgroundTask(self._stop_later, pids[0])  # after the response: it may be this process
        return Response(status_code=HTTPStatus.ACCEPTED, background=stop)

    @operation(
        "Kill Redis; it is started again after five seconds.",
        Audience.SERVICE,
        {202: None},
        {409: "conflict"},
        details="Only under `chat-gateway up`. 409: `REDIS_URL` names a Redis that `up` has not started.",
        scope=Scope.ADMIN,
    )
    async def _cut_redis(self, request: Request) -> Response:
        self._service_keys.require(request, self._cut_redis)
        if self._controls is None or not self._controls.has_own_redis:
            raise Problem(
                HTTPStatus.CONFLICT, ErrorCode.CONFLICT, "`up` has not started this Redis, and cannot cut it."
            )
        self._controls.cut_redis()
        return Response(status_code=HTTPStatus.ACCEPTED)

    async def _stop_later(self, pid: int) -> None:
        if self._controls is not None:
            self._controls.stop(pid)
