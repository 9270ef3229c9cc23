"""The sole WebSocket I/O: accept or refuse, and what is logged of it. Who may come in is for the entrances to say.

Refusals are decided before accept. A browser hides the answer to a refused handshake from its page, so where one may be
calling (an `Origin` is present) the socket is accepted and closed with the code; any other client gets problem JSON.
"""

import asyncio
import logging
import time
from http import HTTPStatus

from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.codes import Close, ErrorCode
from gateway.credentials import SUBPROTOCOL
from gateway.drain import Drain
from gateway.entrances.base import Client, Entrance, Entry
from gateway.errors import RedisUnavailable
from gateway.identity import ForeignPage
from gateway.lane import LANE, Lane
from gateway.metrics.clients import DRAINING, ClientMetrics
from gateway.problems import Problem, unavailable
from storage.errors import StorageUnavailable

logger = logging.getLogger("gateway.connection")

_CLOSES = {
    HTTPStatus.UNAUTHORIZED: Close.UNAUTHORIZED,
    HTTPStatus.BAD_REQUEST: Close.UNAUTHORIZED,
    HTTPStatus.CONFLICT: Close.REPLACED,
    HTTPStatus.TOO_MANY_REQUESTS: Close.ABUSE,
    HTTPStatus.SERVICE_UNAVAILABLE: Close.INTERNAL,
}
"""How a refusal is told to a socket that had to be accepted, by its status; any other is FORBIDDEN."""
_CLOSES_OF_CODES: dict[str, Close] = {ErrorCode.ROOM_FULL: Close.ROOM_FULL}
"""Where the status does not say enough."""


class Connections:
    """The door of this node. `clients` is the register of those who are in."""

    def __init__(self, *, clients: dict[Client, float], drain: Drain, metrics: ClientMetrics) -> None:
        self._clients = clients
        self._drain = drain
        self._metrics = metrics

    async def serve(self, websocket: WebSocket, entrance: Entrance) -> None:
        """One socket, from handshake to end."""
        if self._drain.is_closing:
            await self._refuse(websocket, entrance, unavailable(), DRAINING)
            return
        try:
            entry = await self._enter(websocket, entrance)
        except WebSocketDisconnect:
            self._metrics.turned_away(entrance.name, "gone")
        except (StorageUnavailable, RedisUnavailable):
            await self._refuse(websocket, entrance, unavailable())
        except Problem as problem:
            await self._refuse(websocket, entrance, problem)
        else:
            await self._run(websocket, entrance, entry)

    async def _enter(self, websocket: WebSocket, entrance: Entrance) -> Entry:
        """The entry, unless the client leaves before: what goes on when the database answers at last would put out the
        socket by which the same user has come in elsewhere meanwhile.

        Raises: what `enter` raises; WebSocketDisconnect.
        """
        lane: Lane = websocket.scope["extensions"][LANE]
        # In this very task: between the taking of a seat and the registering of its session no turn may pass.
        task: asyncio.Task[object] = asyncio.current_task()  # type: ignore[assignment]  # there is one: it is awaited
        already, is_gone = task.cancelling(), False

        def give_up(_: int) -> None:
            nonlocal is_gone
            is_gone = True
            task.cancel()

        if not lane.when_closed(give_up):
            raise WebSocketDisconnect(1006)
        try:
            return await entrance.enter(websocket)
        except asyncio.CancelledError:
            if is_gone and task.uncancel() <= already:  # by nobody else at the same time
                raise WebSocketDisconnect(1006) from None
            raise
        finally:
            lane.when_closed(None)

    async def _refuse(
        self, websocket: WebSocket, entrance: Entrance, problem: Problem, outcome: str | None = None
    ) -> None:
        self._metrics.turned_away(entrance.name, outcome or problem.code)
        logger.info("refused", extra={"fields": {"dialect": entrance.name, "code": problem.code}})
        if "origin" not in websocket.headers or isinstance(problem, ForeignPage):
            await websocket.send_denial_response(problem.response())
            return
        # A browser fails the handshake if it offered subprotocols and none is answered.
        offered = websocket.scope.get("subprotocols", [])
        await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        close = _CLOSES_OF_CODES.get(problem.code) or _CLOSES.get(problem.status, Close.FORBIDDEN)
        await websocket.close(close, problem.detail)

    async def _run(self, websocket: WebSocket, entrance: Entrance, entry: Entry) -> None:
        lane: Lane = websocket.scope["extensions"][LANE]

        def forget(client: Client, code: int) -> None:
            started = self._clients.pop(client)
            self._metrics.closed(entrance.name, code)
            fields = {"dialect": entrance.name, **client.log_fields, "code": code}
            fields["seconds"] = round(time.monotonic() - started, 1)
            logger.info("disconnected", extra={"fields": fields})

        # Registered before accept, so that whoever displaces or removes this user from now on finds the socket.
        client = entry.open(lane, forget)
        self._clients[client] = time.monotonic()
        try:
            await websocket.accept(entry.subprotocol)
        except BaseException:
            client.abandon()
            del self._clients[client]
            raise
        self._metrics.accepted(entrance.name)
        logger.info("connected", extra={"fields": {"dialect": entrance.name, **client.log_fields}})
        client.attach()  # and from here on the socket needs no task of ours
