"""The sole WebSocket I/O: who may come in, accept or refuse, and what is logged of it.

Refusals are decided before accept. A browser hides the answer to a refused handshake from its page, so where one may be
calling (an `Origin` is present) the socket is accepted and closed with the code; any other client gets problem JSON.
"""

import logging
import time
import uuid
from dataclasses import dataclass
from http import HTTPStatus

from starlette.websockets import WebSocket

from gateway.codes import Close
from gateway.credentials import SUBPROTOCOL
from gateway.dialects.base import Dialect
from gateway.drain import Drain
from gateway.identity import Caller, ForeignPage, Identity
from gateway.lane import LANE, Lane
from gateway.messages import MAX_ID
from gateway.metrics import Metrics
from gateway.node import Node
from gateway.presence import Seat
from gateway.problems import Problem, forbidden, unavailable
from gateway.session import Session
from gateway.settings import SecondConnection
from gateway.since import read_since
from storage.errors import StorageUnavailable
from storage.records import Admission

logger = logging.getLogger("gateway.connection")

_CLOSES = {
    HTTPStatus.UNAUTHORIZED: Close.UNAUTHORIZED,
    HTTPStatus.BAD_REQUEST: Close.UNAUTHORIZED,
    HTTPStatus.CONFLICT: Close.REPLACED,
    HTTPStatus.TOO_MANY_REQUESTS: Close.ABUSE,
    HTTPStatus.SERVICE_UNAVAILABLE: Close.INTERNAL,
}
"""How a refusal is told to a socket that had to be accepted; any other is FORBIDDEN."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """Everything is in order: who comes in, where, and the seat that is held."""

    caller: Caller
    admission: Admission
    seat: Seat
    claim: int


class Connections:
    """The door of this node. `sessions` is the register of those who are in."""

    def __init__(
        self,
        *,
        identity: Identity,
        node: Node,
        sessions: dict[Session, float],
        drain: Drain,
        metrics: Metrics,
        second_connection: SecondConnection,
    ) -> None:
        self._identity = identity
        self._node = node
        self._sessions = sessions
        self._drain = drain
        self._metrics = metrics
        self._second_connection = second_connection

    async def serve(self, websocket: WebSocket, dialect: Dialect) -> None:
        """One socket in one chat, from handshake to end."""
        try:
            entry = await self._enter(websocket)
        except StorageUnavailable:
            await self._refuse(websocket, dialect, unavailable())
        except Problem as problem:
            await self._refuse(websocket, dialect, problem)
        else:
            await self._run(websocket, dialect, entry)

    async def _enter(self, websocket: WebSocket) -> _Entry:
        """Check everything, and take the seat.

        Raises: Problem, StorageUnavailable.
        """
        if self._drain.is_closing:
            raise unavailable()
        caller = await self._identity.caller(websocket)
        chat_id = _chat_id(websocket.path_params["chat_id"])
        admission = await self._node.membership.admit(chat_id, caller.person.id) if chat_id else None
        if admission is None:
            raise forbidden("You are not a member of this chat, or there is no such chat.")
        seat = Seat(
            chat_id=admission.chat_id,
            user_id=caller.person.id,
            username=caller.person.username,
            connection_id=uuid.uuid4().hex,
            exclusive=self._second_connection is not SecondConnection.ALLOW,
        )
        reject = self._second_connection is SecondConnection.REJECT
        claim = await self._node.take_seat(seat, reject_second=reject)
        if claim is None:
            raise Problem(HTTPStatus.CONFLICT, "conflict", "You are connected to this chat already.")
        return _Entry(caller, admission, seat, claim)

    async def _refuse(self, websocket: WebSocket, dialect: Dialect, problem: Problem) -> None:
        self._metrics.turned_away(dialect.name, problem.code)
        logger.info("refused", extra={"fields": {"dialect": dialect.name, "code": problem.code}})
        if "origin" not in websocket.headers or isinstance(problem, ForeignPage):
            await websocket.send_denial_response(problem.response())
            return
        # A browser fails the handshake if it offered subprotocols and none is answered.
        offered = websocket.scope.get("subprotocols", [])
        await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        await websocket.close(_CLOSES.get(problem.status, Close.FORBIDDEN), problem.detail)

    async def _run(self, websocket: WebSocket, dialect: Dialect, entry: _Entry) -> None:
        lane: Lane = websocket.scope["extensions"][LANE]
        session = Session(
            node=self._node,
            lane=lane,
            dialect=dialect,
            person=entry.caller.person,
            connection_id=entry.seat.connection_id,
            expires_at=entry.caller.expires_at,
            metrics=self._metrics,
            on_closed=self._forget,
        )
        # Registered before accept, so that whoever displaces or removes this user from now on finds the session.
        subscription = self._node.register(session, entry.seat, entry.claim)
        self._sessions[session] = time.monotonic()
        try:
            await websocket.accept(entry.caller.subprotocol)
        except BaseException:
            self._node.leave(subscription, at_once=True)
            del self._sessions[session]
            raise
        self._metrics.accepted(dialect.name)
        logger.info("connected", extra={"fields": _fields(session, dialect) | {"chat_id": entry.seat.chat_id}})
        since = websocket.query_params.get("since")
        session.enter(subscription, None if since is None else read_since(since), entry.admission)
        session.attach()
        await lane.wait_closed()

    def _forget(self, session: Session, code: int) -> None:
        started = self._sessions.pop(session)
        self._metrics.closed(code)
        fields = _fields(session, session.dialect)
        fields |= {"code": code, "seconds": round(time.monotonic() - started, 1)}
        logger.info("disconnected", extra={"fields": fields})


def _fields(session: Session, dialect: Dialect) -> dict[str, object]:
    return {"dialect": dialect.name, "user_id": session.person.id, "connection_id": session.connection_id}


def _chat_id(text: str) -> int | None:
    """The id in a URL; None if it can be none."""
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(MAX_ID)):
        return None
    value = int(text)
    return value if 0 < value <= MAX_ID else None
