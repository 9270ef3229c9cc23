"""The state over one socket, whatever is spoken there: commands in, replies and pushes out.

It knows no socket, only a lane. Bytes of a message come in by `on_message` and never wait for the socket. Commands of
one session are handled in their order; a store or a read runs in the session's worker task, which exists only while
there is something to do. What the commands mean is for the kinds of session to say.
"""

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

from gateway.codes import Close, Disconnect
from gateway.dialects.base import Dialect, Request
from gateway.errors import RedisUnavailable
from gateway.frames import text_frame
from gateway.lane import Lane
from gateway.messages import ErrorReply, GetHistory, GetPresence, MarkRead, Reply, Subscribe
from gateway.metrics.clients import ClientMetrics
from gateway.node import Node
from gateway.outbox import Outbox
from gateway.refusals import UNAVAILABLE
from storage.errors import StorageUnavailable
from storage.records import Person

logger = logging.getLogger("gateway.session")

MAX_WAITING = 64
"""Commands that may wait in a session before its socket is read no further."""
MAX_REFUSALS = 200
REFUSAL_WINDOW_S = 60.0
"""A socket is closed only after this many refused commands in this time (protocol.md, seed 004)."""


class Session(ABC):
    """One socket's state. Meets LaneListener and `entrances.base.Client`."""

    def __init__(
        self,
        *,
        node: Node,
        lane: Lane,
        dialect: Dialect,
        person: Person | None,
        connection_id: str,
        expires_at: float,
        metrics: ClientMetrics,
        on_closed: Callable[["Session", int], None],
    ) -> None:
        self.dialect = dialect
        self.person = person
        """Who it is; None for a session without a valid token."""
        self.connection_id = connection_id
        self.expires_at = expires_at
        """When the token expires, in Unix seconds; infinite without one."""
        self._node = node
        self._lane = lane
        self._metrics = metrics
        self.outlet = Outbox(lane, on_slow=self._on_slow)
        """Takes complete frames; when it is full, this session is closed as a slow consumer."""
        self._on_closed = on_closed
        self._waiting: list[Request] = []
        self._worker: asyncio.Task[None] | None = None
        self._refusals: deque[float] | None = None
        self._is_attached = False
        self._closing: Disconnect | None = None

    @property
    def log_fields(self) -> dict[str, object]:
        """Who it is, for the log."""
        return {"user_id": self.person.id if self.person else None, "connection_id": self.connection_id}

    @property
    def buffered(self) -> int:
        """Bytes that the client has not taken yet."""
        return self._lane.buffered

    # --- what the kinds of session say

    @abstractmethod
    def _begin(self) -> None:
        """The handshake is complete."""

    @abstractmethod
    def _end(self, *, at_once: bool) -> None:
        """Give back what the session holds; unless `at_once`, its user is likely to be back in seconds."""

    @abstractmethod
    def _handle_now(self, request: Request) -> bool:
        """Handle a command that needs no await; False if it needs one."""

    @abstractmethod
    async def _handle(self, request: Request) -> None:
        """Handle a command that `_handle_now` left.

        Raises: StorageUnavailable, RedisUnavailable (the command is then refused as `unavailable`).
        """

    # --- entrances.base.Client

    def attach(self) -> None:
        """Start: the handshake is complete, messages come in from here on."""
        self._is_attached = True
        self._lane.attach(self)
        self._begin()
        if self._closing is not None:
            self._lane.close(self._closing.code, self._closing.reason)

    def abandon(self) -> None:
        """The handshake failed: give everything back."""
        self._end(at_once=True)

    def close(self, disconnect: Disconnect) -> None:
        """Close the socket, once it is open; what was offered before is written first."""
        if self._closing is not None:
            return
        self._closing = disconnect
        if self._is_attached:
            self._lane.close(disconnect.code, disconnect.reason)

    # --- out

    def offer(self, frames: bytes) -> bool:
        """Write complete frames; False if the client is too slow, and being closed for it."""
        return self.outlet.offer(frames)

    async def room(self) -> bool:
        """Return once the outbox has room for a page; False if the socket is closed."""
        return await self.outlet.room()

    def answer(self, reply: Reply, request: Request | None) -> None:
        """Write the answer to a request (None: unasked), if the dialect has one."""
        payload = self.dialect.reply(reply, request)
        if payload is not None:
            self.outlet.offer(text_frame(payload))

    def refuse(self, error: ErrorReply, request: Request | None) -> None:
        """Answer with an error, count it, and close a socket that gets too many."""
        self.answer(error, request)
        self._metrics.refused(self.dialect.name, request.name if request else "unknown", error.code)
        logger.info("command_refused", extra={"fields": self.log_fields | {"code": error.code}})
        now = time.monotonic()
        if self._refusals is None:
            self._refusals = deque(maxlen=MAX_REFUSALS)
        self._refusals.append(now)
        if len(self._refusals) == MAX_REFUSALS and now - self._refusals[0] <= REFUSAL_WINDOW_S:
            self.close(Disconnect(Close.ABUSE, "too many refused commands"))

    def done(self, request: Request, seconds: float | None = None) -> None:
        """Count a command that was carried out, and how long it took if it was stored."""
        self._metrics.handled(self.dialect.name, request.name, seconds)
        if isinstance(request.command, _WAITED_FOR):
            self._metrics.answered(self.dialect.name, time.perf_counter() - request.came_at)

    def _on_slow(self) -> None:
        self._metrics.slow_consumers.inc()
        self.close(Disconnect(Close.SLOW_CONSUMER, "too slow; come back with since"))

    # --- in: LaneListener

    def on_message(self, payload: bytes, is_text: bool) -> None:
        """Take one command: handled now if nothing waits and it needs no await, else in its turn."""
        request = self.dialect.decode(payload, is_text)
        if isinstance(request, ErrorReply):
            self.refuse(request, None)
        elif self._worker is not None or not self._handle_now(request):
            self._waiting.append(request)
            if len(self._waiting) == MAX_WAITING:
                self._lane.pause_reading()
            if self._worker is None:
                self._worker = self._node.tasks.spawn(self._work(), "session")

    def on_closed(self, code: int) -> None:
        """The socket is gone. What was accepted is still carried out."""
        self._end(at_once=code not in _MAY_RETURN)
        self._on_closed(self, code)

    async def _work(self) -> None:
        try:
            while self._waiting:
                request = self._waiting.pop(0)
                if len(self._waiting) == MAX_WAITING // 2:
                    self._lane.resume_reading()
                try:
                    if not self._handle_now(request):
                        await self._handle(request)
                except (StorageUnavailable, RedisUnavailable):
                    self.refuse(UNAVAILABLE, request)
                except Exception:
                    # A poisonous command must not take the socket with it: the client would only send it again.
                    logger.exception("command_failed", extra={"fields": {"command": request.name}})
                    self.refuse(UNAVAILABLE, request)
        finally:
            self._worker = None


_MAY_RETURN = frozenset({1006, 1011, 1012, Close.DRAIN, Close.SLOW_CONSUMER, Close.POSITION_LOST, Close.INTERNAL})
"""Ends after which a client is likely to be back in seconds: its user counts as present a little longer."""
_WAITED_FOR = (GetHistory, GetPresence, MarkRead, Subscribe)
"""What stores no event, and yet is not answered before Redis or the database is."""
