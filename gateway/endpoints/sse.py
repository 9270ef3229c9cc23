"""Connects clients without WebSockets: `/sse/{client_id}` is the native protocol as an event stream.

The URL names the chats to which a native client subscribes by commands; other commands are sent over HTTP. All else is
as on a WebSocket: who may connect, the limits, the session.
"""

import logging
import math
import time
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from http import HTTPStatus
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.authentication.authenticator import Anonymous, Authenticator, Caller
from gateway.authentication.credentials import NoCredentials, find_credentials
from gateway.dialects.base import Dialect
from gateway.endpoints.connection_limits import ConnectionLimits, Place, network_of
from gateway.endpoints.event_stream import EventStream, farewell
from gateway.errors import RedisUnavailable
from gateway.http.parameters import path_segment
from gateway.http.problems import Problem, invalid_field, unavailable
from gateway.interfaces.connection import HTTP_SOCKET, HttpSocket
from gateway.interfaces.session import OpenSession
from gateway.metrics.clients import DRAINING, ClientMetrics
from gateway.protocol.codes import Close
from gateway.protocol.commands import MAX_USERS
from gateway.protocol.ids import UNREADABLE, Since, id_in, read_since
from gateway.protocol.stream_positions import MAX_CHATS, StreamPositions, read_positions
from gateway.server.drain import Drain
from gateway.sessions.context import Peer, SessionContext
from gateway.sessions.stream import StreamSession
from httpapi.client_address import Network, client_address
from storage.auth_records import Credential
from storage.errors import StorageUnavailable

logger = logging.getLogger("gateway.connection")

ACKS_S: Final = 45.0
"""Three comments: a client whose kernel acknowledges none of them is gone."""
_HEADERS: Final[Mapping[str, str]] = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",  # nginx passes every event on at once
}
_TEMPORARY: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class EventStreams:
    """The ASGI application of the URL. `clients` is the register of open sessions, which the acceptor shares."""

    name = "sse"

    def __init__(
        self,
        identity: Authenticator,
        context: SessionContext,
        dialect: Dialect,
        *,
        clients: dict[OpenSession, float],
        limits: ConnectionLimits,
        trusted_proxies: Collection[Network],
        drain: Drain,
    ) -> None:
        self._identity = identity
        self._context = context
        self._dialect = dialect
        self._clients = clients
        self._limits = limits
        self._trusted_proxies = trusted_proxies
        self._drain = drain
        self._metrics: ClientMetrics = context.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        Raises: Problem.
        """
        request = Request(scope, receive)
        if self._drain.is_closing:
            await self._reject(request, send, unavailable(), DRAINING)
            return
        address = client_address(request, self._trusted_proxies)
        with ExitStack() as held:
            try:
                place = self._limits.enter(request, address)
                held.callback(place.release)
                peer, client_id = await self._admit(request)
                since, watched = _since(request), _watched(request)
            except (StorageUnavailable, RedisUnavailable):
                await self._reject(request, send, unavailable())
            except Problem as problem:
                await self._reject(request, send, await self._limits.first(problem, request, address))
            else:
                if request.method == "HEAD":
                    await Response(headers=_HEADERS)(scope, receive, send)
                    return
                socket: HttpSocket | None = scope.get("extensions", {}).get(HTTP_SOCKET)
                commands = [*_subscribes(since), *watched]
                known = {chat_id: position for chat_id, position in since.items() if position is not None}
                stream = EventStream(commands, StreamPositions(known), *(() if socket is None else (socket.abort,)))
                if socket is not None:
                    socket.expect_acks(ACKS_S)
                held.pop_all()  # the end of the session releases the place
                await self._run(stream, peer, client_id, place, receive, send)

    async def _admit(self, request: Request) -> tuple[Peer, str]:
        """Authenticate the caller. A token that is not valid is rejected: the browser would come back without end.

        Raises: what `Authenticator.caller` raises, and Problem (404 for an invalid client_id).
        """
        client_id = path_segment(request, "/sse/", "/")
        caller: Caller | Anonymous
        if isinstance(find_credentials(request), NoCredentials):
            caller = await self._identity.anyone(request)
        else:
            caller = await self._identity.caller(request)
        person, credential = None, Credential(None, math.inf)
        if isinstance(caller, Caller):
            person, credential = caller.person, caller.credential
        warns = request.query_params.get("refresh") == "1"
        return Peer(self._dialect, person, credential, uuid.uuid4().hex, warns, network_of(request)), client_id

    async def _reject(self, request: Request, send: Send, problem: Problem, outcome: str | None = None) -> None:
        """Reject the request: a browser, which gives up at any other status than 200, gets a stream that ends at once.

        Raises: Problem, for other clients and for what does not pass.
        """
        self._metrics.turned_away(self.name, outcome or problem.code)
        logger.info("refused", extra={"fields": {"dialect": self.name, "code": problem.code}})
        if problem.status not in _TEMPORARY or "text/event-stream" not in request.headers.get("accept", ""):
            raise problem
        retry_ms = 1000 * int(problem.headers.get("Retry-After", 1))
        body = farewell(Close.INTERNAL, orjson.dumps({"retry_after_ms": retry_ms}).decode())
        await Response(body, headers=_HEADERS)(request.scope, request.receive, send)

    async def _run(
        self, stream: EventStream, peer: Peer, client_id: str, place: Place, receive: Receive, send: Send
    ) -> None:
        def on_closed(client: OpenSession, code: int) -> None:
            place.release()
            started = self._clients.pop(client)
            self._metrics.closed(self.name, code)
            fields = {"dialect": self.name, **client.log_fields, "code": code}
            fields["seconds"] = round(time.monotonic() - started, 1)
            logger.info("disconnected", extra={"fields": fields})

        # No await between admission and registration, so that a revocation or a removal from now on ends the stream.
        session = StreamSession(self._context, peer, client_id, stream, on_closed)
        self._clients[session] = time.monotonic()
        self._metrics.accepted(self.name)
        logger.info("connected", extra={"fields": {"dialect": self.name, **session.log_fields}})
        if self._drain.is_closing:  # it has begun during the admission
            self._drain.close(session)
        session.attach()
        watch = self._context.tasks.spawn(stream.watch(receive), "event stream")
        try:
            await stream.run(send, _HEADERS)
        finally:
            watch.cancel()


def _since(request: Request) -> dict[int, Since | None]:
    """Where each chat of the URL starts; None: with the next event. `Last-Event-ID` is newer than the URL.

    Raises: Problem (422).
    """
    texts = request.query_params.getlist("chats")
    parts = [part for text in texts for part in text.split(",", MAX_CHATS)] if len(texts) <= 1 else []
    if len(texts) > 1 or len(parts) > MAX_CHATS:
        raise invalid_field(f"chats names up to {MAX_CHATS} chats, separated by commas.")
    since: dict[int, Since | None] = {}
    for part in filter(None, parts):
        name, colon, position = part.partition(":")
        chat_id = id_in(name)
        if chat_id is None:
            raise invalid_field("chats has ids of chats, each alone or before a colon and its position.")
        since[chat_id] = read_since(position) if colon else None
    last_id = request.headers.get("last-event-id") or request.query_params.get("last_event_id")
    if not last_id:
        return since
    positions = read_positions(last_id)
    if positions is None:
        return dict.fromkeys(since, UNREADABLE)
    return {chat_id: positions.get(chat_id, position) for chat_id, position in since.items()}


def _watched(request: Request) -> list[bytes]:
    """The command for the users whose presence the stream reports, if the URL names some.

    Raises: Problem (422).
    """
    text = request.query_params.get("presence")
    if text is None:
        return []
    user_ids = [id_in(part) for part in text.split(",", MAX_USERS)]
    if None in user_ids or len(user_ids) > MAX_USERS:
        raise invalid_field(f"presence has up to {MAX_USERS} ids of users, separated by commas.")
    return [orjson.dumps({"type": "subscribe_presence", "user_ids": user_ids})]


def _subscribes(since: dict[int, Since | None]) -> Iterator[bytes]:
    """The commands that the URL stands for."""
    for chat_id, position in since.items():
        command: dict[str, object] = {"type": "subscribe", "chat_id": chat_id}
        if position is not None:
            command["since"] = position.seq if position.epoch is None else f"{position.epoch}:{position.seq}"
        yield orjson.dumps(command)
