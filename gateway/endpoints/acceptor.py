"""Accepts or rejects sockets, and logs it; the endpoints decide who may connect.

A handshake is rejected before accept. A browser hides the response to a rejected handshake from its page. So for a
request with an `Origin`, the socket is accepted and closed with a close code; other clients get problem JSON.
"""

import asyncio
import logging
import time
from collections.abc import Collection
from http import HTTPStatus

from gateway.authentication.credentials import offered_bearer
from gateway.endpoints.base import Endpoint, PendingSession
from gateway.endpoints.connection_limits import TOO_MANY, ConnectionLimits, Place, user_of
from gateway.endpoints.echo import QUOTA
from gateway.endpoints.handshake import Handshake
from gateway.errors import RedisUnavailable
from gateway.http.problems import Problem, expected, unavailable
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

    async def serve(self, handshake: Handshake, endpoint: Endpoint) -> None:
        """Handle one handshake: accept the socket and start its session, or reject it."""
        if self._drain.is_closing:
            await self._reject(handshake, endpoint, unavailable(), DRAINING)
            return
        address = client_address(handshake, self._trusted_proxies)
        try:
            place = self._limits.enter(handshake, address)
        except Problem as problem:
            await self._reject(handshake, endpoint, await self._limits.first(problem, handshake, address))
            return
        is_open = False
        try:
            is_open = await self._serve_counted(handshake, endpoint, place, address)
        finally:
            if not is_open:  # the end of an open session releases the place
                place.release()

    async def _serve_counted(self, handshake: Handshake, endpoint: Endpoint, place: Place, address: str) -> bool:
        """Handle a handshake within the limits of this node; whether its session is open."""
        try:
            pending = await self._admit(handshake, endpoint)
        except (StorageUnavailable, RedisUnavailable):
            await self._reject(handshake, endpoint, unavailable())
        except Exception as error:
            problem = expected(error)
            if problem is None:
                raise
            await self._reject(handshake, endpoint, await self._limits.first(problem, handshake, address))
        else:
            if pending is not None:
                await self._run(handshake, endpoint, pending, place)
                return True
            self._metrics.turned_away(endpoint.name, "gone")
        return False

    async def _admit(self, handshake: Handshake, endpoint: Endpoint) -> PendingSession | None:
        """Run `endpoint.admit`, and cancel it if the client disconnects meanwhile: then the result is None.

        Otherwise an `admit` that continues after a slow database query would displace a newer socket of the same user.
        Raises: what `admit` raises.
        """
        # In the current task: no turn of the event loop may pass between taking a seat and registering its session.
        task: asyncio.Task[object] = asyncio.current_task()  # type: ignore[assignment]  # never None in a coroutine
        earlier_cancellations, is_gone = task.cancelling(), False

        def give_up(_: int) -> None:
            nonlocal is_gone
            is_gone = True
            task.cancel()

        if not handshake.connection.when_closed(give_up):
            return None
        try:
            return await endpoint.admit(handshake)
        except asyncio.CancelledError:
            if is_gone and task.uncancel() <= earlier_cancellations:  # no other cancellation is pending
                return None
            raise
        finally:
            handshake.connection.when_closed(None)

    async def _reject(
        self, handshake: Handshake, endpoint: Endpoint, problem: Problem, outcome: str | None = None
    ) -> None:
        self._metrics.turned_away(endpoint.name, outcome or problem.code)
        logger.info("refused", extra={"fields": {"dialect": endpoint.name, "code": problem.code}})
        if outcome != DRAINING:
            self._record(handshake, endpoint, problem)
        if "origin" not in handshake.headers or problem.code == FORBIDDEN_ORIGIN:
            await handshake.reject(problem.response())
            return
        # A browser fails the handshake if it offered subprotocols and the response selects none.
        await handshake.accept(offered_bearer(handshake))
        close = _CLOSES_OF_CODES.get(problem.code) or _CLOSES.get(problem.status, Close.FORBIDDEN)
        await handshake.close(close, problem.detail)

    def _record(self, handshake: Handshake, endpoint: Endpoint, problem: Problem) -> None:
        user, path_ids = user_of(handshake), handshake.scope.get("path_params", {})
        self._audit.record(
            Event.CONNECTION_REFUSED,
            result_of(problem.status),
            ANONYMOUS if user is None else user,
            operation=operation_of(handshake.scope),
            address=lambda: client_address(handshake, self._trusted_proxies),
            chat_id=id_in(str(path_ids.get("chat_id", ""))),
            facts={"dialect": endpoint.name, "code": problem.code, "status": problem.status.value},
        )

    async def _run(self, handshake: Handshake, endpoint: Endpoint, pending: PendingSession, place: Place) -> None:

        def on_closed(client: OpenSession, code: int) -> None:
            place.release()
            started = self._clients.pop(client)
            self._metrics.closed(endpoint.name, code)
            fields = {"dialect": endpoint.name, **client.log_fields, "code": code}
            fields["seconds"] = round(time.monotonic() - started, 1)
            logger.info("disconnected", extra={"fields": fields})

        # Registered before accept, so that a takeover or removal of this user from now on closes the socket.
        client = pending.open(handshake.connection, on_closed)
        self._clients[client] = time.monotonic()
        if self._drain.is_closing:  # it has begun during the admission
            self._drain.close(client)
        try:
            await handshake.accept(pending.subprotocol)
        except BaseException:
            client.abandon()
            del self._clients[client]
            raise
        self._metrics.accepted(endpoint.name)
        logger.info("connected", extra={"fields": {"dialect": endpoint.name, **client.log_fields}})
        client.attach()  # from here on the socket needs no task
