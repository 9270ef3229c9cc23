"""The authenticated state over one socket: commands in, replies and pushes out. It knows no socket, only a lane.

Bytes of a message come in by `on_message` and never wait for the socket. Commands of one session are handled in their
order; a store or a read runs in the session's worker task, which exists only while there is something to do.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable

from gateway.codes import Close, Disconnect
from gateway.dialects.base import Dialect, Request
from gateway.errors import RedisUnavailable
from gateway.frames import text_frame
from gateway.lane import Lane
from gateway.messages import (
    DeleteMessage,
    EditMessage,
    ErrorReply,
    GetHistory,
    GetPresence,
    HistoryPage,
    MarkRead,
    Ping,
    Pong,
    PresenceState,
    RateLimited,
    Reply,
    SendMessage,
    SetTyping,
    Stored,
    new_client_msg_id,
)
from gateway.metrics import Metrics
from gateway.node import Node
from gateway.outbox import Outbox
from gateway.rate_limits import Admitted
from gateway.refusals import REFUSALS, UNAVAILABLE, not_in_chat, rate_limited
from gateway.subscription import Place, Subscription
from storage.errors import StorageUnavailable
from storage.records import Committed, EventKind, NewEvent, Outcome, Person

logger = logging.getLogger("gateway.session")

MAX_WAITING = 64
"""Commands that may wait in a session before its socket is read no further."""
MAX_REFUSALS = 200
REFUSAL_WINDOW_S = 60.0
"""A socket is closed only after this many refused commands in this time (protocol.md, seed 004)."""


class Session:
    """One user's socket. Meets LaneListener and Recipient."""

    def __init__(
        self,
        *,
        node: Node,
        lane: Lane,
        dialect: Dialect,
        person: Person,
        connection_id: str,
        expires_at: float,
        metrics: Metrics,
        on_closed: Callable[["Session", int], None],
        home: Place,
    ) -> None:
        self.dialect = dialect
        self.person = person
        self.connection_id = connection_id
        self.expires_at = expires_at
        """When the token expires, in Unix seconds."""
        self._node = node
        self._lane = lane
        self._metrics = metrics
        self._outbox = Outbox(lane, on_slow=self._on_slow)
        self._on_closed = on_closed
        self._waiting: deque[Request] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._refusals: deque[float] = deque(maxlen=MAX_REFUSALS)
        self._is_attached = False
        self._closing: Disconnect | None = None
        self._place = home
        self._home = node.register(self, home.seat, home.claim)
        self._subscriptions = {home.seat.chat_id: self._home}

    @property
    def log_fields(self) -> dict[str, object]:
        """Who it is, for the log."""
        ids = {"user_id": self.person.id, "connection_id": self.connection_id}
        return ids | {"chat_id": self._place.seat.chat_id}

    def attach(self) -> None:
        """Start: the handshake is complete, messages come in from here on."""
        self._is_attached = True
        self._lane.attach(self)
        self._node.tasks.spawn(self._go_live(self._home, self._place), "go live")
        if self._closing is not None:
            self._lane.close(self._closing.code, self._closing.reason)

    def abandon(self) -> None:
        """The handshake failed: give the place back."""
        self._node.leave(self._home, at_once=True)

    # --- chats

    async def _go_live(self, subscription: Subscription, place: Place) -> None:
        try:
            await self._node.go_live(subscription, place.since, place.admission)
        except StorageUnavailable:
            self.close(Disconnect(Close.POSITION_LOST, "the store is not available; come back with since"))

    def _subscription(self, request: Request) -> Subscription | None:
        return self._home if request.chat_id is None else self._subscriptions.get(request.chat_id)

    # --- out: Recipient

    def offer(self, frames: bytes) -> bool:
        """Hand complete frames to the outbox; a full one closes this session as a slow consumer."""
        return self._outbox.offer(frames)

    async def room(self) -> bool:
        """Return once the outbox has room for a page; False if the socket is closed."""
        return await self._outbox.room()

    def tell(self, reply: Reply) -> None:
        """Write an unasked reply."""
        self._answer(reply, None)

    def _answer(self, reply: Reply, request: Request | None) -> None:
        payload = self.dialect.reply(reply, request)
        if payload is not None:
            self._outbox.offer(text_frame(payload))

    def close(self, disconnect: Disconnect) -> None:
        """Close the socket, once it is open; what was offered before is written first."""
        if self._closing is not None:
            return
        self._closing = disconnect
        if self._is_attached:
            self._lane.close(disconnect.code, disconnect.reason)

    def _on_slow(self) -> None:
        self._metrics.slow_consumers.inc()
        self.close(Disconnect(Close.SLOW_CONSUMER, "too slow; come back with since"))

    # --- in: LaneListener

    def on_message(self, payload: bytes, is_text: bool) -> None:
        """Take one command: handled now if nothing waits and it needs no await, else in its turn."""
        request = self.dialect.decode(payload, is_text)
        if isinstance(request, ErrorReply):
            self._refuse(request, None)
        elif self._worker is not None or not self._handle_now(request):
            self._waiting.append(request)
            if len(self._waiting) == MAX_WAITING:
                self._lane.pause_reading()
            if self._worker is None:
                self._worker = self._node.tasks.spawn(self._work(), "session")

    def on_closed(self, code: int) -> None:
        """The socket is gone. What was accepted is still carried out."""
        at_once = code not in _MAY_RETURN
        for subscription in self._subscriptions.values():
            self._node.leave(subscription, at_once=at_once)
        self._on_closed(self, code)

    async def _work(self) -> None:
        try:
            while self._waiting:
                request = self._waiting.popleft()
                if len(self._waiting) == MAX_WAITING // 2:
                    self._lane.resume_reading()
                try:
                    if not self._handle_now(request):
                        await self._handle(request)
                except (StorageUnavailable, RedisUnavailable):
                    self._refuse(UNAVAILABLE, request)
                except Exception:
                    # A poisonous command must not take the socket with it: the client would only send it again.
                    logger.exception("command_failed", extra={"fields": {"command": request.name}})
                    self._refuse(UNAVAILABLE, request)
        finally:
            self._worker = None

    # --- commands

    def _handle_now(self, request: Request) -> bool:
        """Handle a command that needs no await; False if it needs one."""
        command = request.command
        if isinstance(command, SendMessage | MarkRead | GetHistory | GetPresence):
            return False
        subscription = self._subscription(request)
        if isinstance(command, Ping):
            self._answer(Pong(), request)
        elif subscription is None:
            self._refuse(not_in_chat(), request)
            return True
        elif isinstance(command, SetTyping):
            self._node.set_typing(subscription, self.person, command.is_typing)
        else:
            self._submit(request, self._event(subscription, command))
            return True
        self._count(request)
        return True

    async def _handle(self, request: Request) -> None:
        subscription = self._subscription(request)
        if subscription is None:
            self._refuse(not_in_chat(), request)
            return
        match request.command:
            case SendMessage() as command:
                await self._send(request, self._event(subscription, command))
                return
            case MarkRead(seq=seq):
                await self._node.mark_read(subscription, self.person, seq)
            case GetHistory() as command:
                self._answer(await self._history(subscription, command), request)
            case GetPresence():
                chat_id = subscription.seat.chat_id
                members = await self._node.presence.members(chat_id)
                self._answer(PresenceState(chat_id, members), request)
        self._count(request)

    def _event(self, subscription: Subscription, command: SendMessage | EditMessage | DeleteMessage) -> NewEvent:
        chat_id, client_msg_id = subscription.seat.chat_id, command.client_msg_id or new_client_msg_id()
        match command:
            case SendMessage():
                return NewEvent(chat_id, self.person, client_msg_id, EventKind.MESSAGE, command.text)
            case EditMessage():
                edit = EventKind.EDIT
                return NewEvent(chat_id, self.person, client_msg_id, edit, command.text, command.message_id)
            case DeleteMessage():
                return NewEvent(chat_id, self.person, client_msg_id, EventKind.DELETE, "", command.message_id)

    async def _send(self, request: Request, event: NewEvent) -> None:
        verdict = await self._node.admit(event)
        if isinstance(verdict, RateLimited):
            self._metrics.rate_limited.inc()
            self._refuse(rate_limited(verdict), request)
        else:
            self._submit(request, event, verdict)

    def _submit(self, request: Request, event: NewEvent, admitted: Admitted | None = None) -> None:
        started = time.perf_counter()

        def done(outcome: Outcome) -> None:
            if isinstance(outcome, Committed):
                self._answer(Stored(outcome.event, outcome.duplicate), request)
                self._count(request, time.perf_counter() - started)
            else:
                self._refuse(REFUSALS[outcome], request)

        self._node.submit(event, done, admitted=admitted)

    async def _history(self, subscription: Subscription, command: GetHistory) -> HistoryPage:
        chat_id, log = subscription.seat.chat_id, self._node.log
        if command.after_seq is not None:
            events = await log.events_after(chat_id, command.after_seq, command.limit)
        else:
            events = await log.messages_before(chat_id, command.before_seq, command.limit)
        return HistoryPage(chat_id, events, subscription.local.timeline.last_seq)

    # --- refusals

    def _refuse(self, error: ErrorReply, request: Request | None) -> None:
        self._answer(error, request)
        self._metrics.refused(self.dialect.name, request.name if request else "unknown", error.code)
        fields = {"user_id": self.person.id, "connection_id": self.connection_id, "code": error.code}
        logger.info("command_refused", extra={"fields": fields})
        now = time.monotonic()
        self._refusals.append(now)
        if len(self._refusals) == MAX_REFUSALS and now - self._refusals[0] <= REFUSAL_WINDOW_S:
            self.close(Disconnect(Close.ABUSE, "too many refused commands"))

    def _count(self, request: Request, seconds: float | None = None) -> None:
        self._metrics.handled(self.dialect.name, request.name, seconds)


_MAY_RETURN = frozenset({1006, 1011, 1012, Close.DRAIN, Close.SLOW_CONSUMER, Close.POSITION_LOST, Close.INTERNAL})
"""Ends after which a client is likely to be back in seconds: its user counts as present a little longer."""
