"""Accepts or rejects sockets, and logs it; the endpoints decide who may connect.

A handshake is rejected before accept. A browser hides the response to a rejected handshake from its page. So for a
request with an `Origin`, the socket is accepted and closed with a close code; other clients get problem JSON.
"""

import asyncio
import logging
import time
from collections.abc import Collection
from contextlib import ExitStack
from http import HTTPStatus

from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.authentication.credentials import offered_bearer
from gateway.endpoints.base import Endpoint, PendingSession
from gateway.endpoints.connection_limits import TOO_MANY, ConnectionLimits, Place, user_of
from gateway.endpoints.echo import QUOTA
from gateway.errors import RedisUnavailable
from gateway.http.problems import Problem, unavailable
from gateway.interfaces.connection import CONNECTION, Connection
from gateway.interfaces.session import OpenSession
from gateway.metrics.clients import DRAINING, ClientMetrics
from gateway.protocol.codes import Close, ErrorCode
from gateway.protocol.ids import id_in
from gateway.server.drain import Drain
from httpapi.audit.events import Event, result_of
from httpapi.audit.facts import ANONYMOUS
from httpapi.audit.middleware import operation_of
from httpapi.audit.recorder import Recorder
from httpapi.client_address import Network, client_address
from httpapi.errors import FORBIDDEN_ORIGIN
from storage.errors import StorageUnavailable

logger = logging.getLogger("gateway.connection")

_CLOSES = {
    HTTPStatus.UNAUTHORIZED: Close.UNAUTHORIZED,
    HTTPStatus.BAD_REQUEST: Close.UNAUTHORIZED,
    HTTPStatus.CONFLICT: Close.REPLACED,
    HTTPStatus.TOO_MANY_REQUESTS: Close.ABUSE,
    HTTPStatus.SERVICE_UNAVAILABLE: Close.INTERNAL,
}
"""The close code of a rejected socket that had to be accepted, by HTTP status; FORBIDDEN for other statuses."""
_CLOSES_OF_CODES: dict[str, Close] = {
    ErrorCode.ROOM_FULL: Close.ROOM_FULL,
    ErrorCode.BANNED: Close.BANNED,
    TOO_MANY: Close.INTERNAL,
    QUOTA: Close.QUOTA_EXCEEDED,
}
"""By error code, where the status is ambiguous."""


class Acceptor:
    """Accepts or rejects the sockets of this node; `clients` holds the open ones, with their start time."""

    def __init__(
        self,
        *,
        clients: dict[OpenSession, float],
        limits: ConnectionLimits,
        trusted_proxies: Collection[Network],
        drain: Drain,
        metrics: ClientMetrics,
        audit: Recorder,
    ) -> None:
        self._clients = clients
        self._limits = limits
        self._trusted_proxies = trusted_proxies
        self._drain = drain
        self._metrics = metrics
        self._audit = audit

    async def serve(self, websocket: WebSocket, endpoint: Endpoint) -> None:
        """Handle one handshake: accept the socket and start its session, or reject it."""
        if self._drain.is_closing:
            await self._reject(websocket, endpoint, unavailable(), DRAINING)
            return
        with ExitStack() as held:
            try:
                place = self._limits.enter(websocket, client_address(websocket, self._trusted_proxies))
                held.callback(place.release)
                pending = await self._admit(websocket, endpoint)
            except WebSocketDisconnect:
                self._metrics.turned_away(endpoint.name, "gone")
            except (StorageUnavailable, RedisUnavailable):
                await self._reject(websocket, endpoint, unavailable())
            except Problem as problem:
                await self._reject(websocket, endpoint, await self._limits.first(problem, websocket))
            else:
                await self._run(websocket, endpoint, pending, place)
                held.pop_all()  # the end of the session releases the place

    async def _admit(self, websocket: WebSocket, endpoint: Endpoint) -> PendingSession:
        """Run `endpoint.admit`, and cancel it if the client disconnects meanwhile.

        Otherwise an `admit` that continues after a slow database query would displace a newer socket of the same user.
        Raises: what `admit` raises; WebSocketDisconnect.
        """
        connection: Connection = websocket.scope["extensions"][CONNECTION]
        # In the current task: no turn of the event loop may pass between taking a seat and registering its session.
        task: asyncio.Task[object] = asyncio.current_task()  # type: ignore[assignment]  # never None in a coroutine
        earlier_cancellations, is_gone = task.cancelling(), False

        def give_up(_: int) -> None:
            nonlocal is_gone
            is_gone = True
            task.cancel()

        if not connection.when_closed(give_up):
            raise WebSocketDisconnect(1006)
        try:
            return await endpoint.admit(websocket)
        except asyncio.CancelledError:
            if is_gone and task.uncancel() <= earlier_cancellations:  # no other cancellation is pending
                raise WebSocketDisconnect(1006) from None
            raise
        finally:
            connection.when_closed(None)

    async def _reject(
        self, websocket: WebSocket, endpoint: Endpoint, problem: Problem, outcome: str | None = None
    ) -> None:
        self._metrics.turned_away(endpoint.name, outcome or problem.code)
        logger.info("refused", extra={"fields": {"dialect": endpoint.name, "code": problem.code}})
        if outcome != DRAINING:
            self._record(websocket, endpoint, problem)
        if "origin" not in websocket.headers or problem.code == FORBIDDEN_ORIGIN:
            await websocket.send_denial_response(problem.response())
            return
        # A browser fails the handshake if it offered subprotocols and the response selects none.
        await websocket.accept(offered_bearer(websocket))
        close = _CLOSES_OF_CODES.get(problem.code) or _CLOSES.get(problem.status, Close.FORBIDDEN)
        await websocket.close(close, problem.detail)

    def _record(self, websocket: WebSocket, endpoint: Endpoint, problem: Problem) -> None:
        user, path_ids = user_of(websocket), websocket.scope.get("path_params", {})
        self._audit.record(
            Event.CONNECTION_REFUSED,
            result_of(problem.status),
            ANONYMOUS if user is None else user,
            operation=operation_of(websocket.scope),
            address=lambda: client_address(websocket, self._trusted_proxies),
            chat_id=id_in(str(path_ids.get("chat_id", ""))),
            facts={"dialect": endpoint.name, "code": problem.code, "status": problem.status.value},
        )

    async def _run(self, websocket: WebSocket, endpoint: Endpoint, pending: PendingSession, place: Place) -> None:
        connection: Connection = websocket.scope["extensions"][CONNECTION]

        def on_closed(client: OpenSession, code: int) -> None:
            place.release()
            started = self._clients.pop(client)
            self._metrics.closed(endpoint.name, code)
            fields = {"dialect": endpoint.name, **client.log_fields, "code": code}
            fields["seconds"] = round(time.monotonic() - started, 1)
            logger.info("disconnected", extra={"fields": fields})

        # Registered before accept, so that a takeover or removal of this user from now on closes the socket.
        client = pending.open(connection, on_closed)
        self._clients[client] = time.monotonic()
        try:
            await websocket.accept(pending.subprotocol)
        except BaseException:
            client.abandon()
            del self._clients[client]
            raise
        self._metrics.accepted(endpoint.name)
        logger.info("connected", extra={"fields": {"dialect": endpoint.name, **client.log_fields}})
        client.attach()  # from here on the socket needs no task
