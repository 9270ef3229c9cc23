"""Seed 003's echo channel: what a client says comes back verbatim, from here or from the upstream, and nothing else.

Keeps: nothing is answered, nor told to the upstream, before it is stored; a client whose answers, transcript or
upstream lag is not read, so that what one session holds is bounded; no session waits for ever: the store answers within
its bound, the upstream within its own, and a client that takes nothing for TAKE_S is closed.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.codes import Close, Disconnect
from gateway.conversation import WINDOW_BYTES, Conversation, Message
from gateway.frames import binary_frame, text_frame
from gateway.lane import Lane
from gateway.metrics.clients import ClientMetrics
from gateway.outbox import Outbox
from gateway.tasks import Tasks
from gateway.transcripts import Transcripts
from gateway.upstream import Upstream, UpstreamLink
from storage.records import Direction

logger = logging.getLogger("gateway.echo")

TAKE_S: Final = 20.0
"""Until a client has taken most of its answers, where it is not read for them."""

OnClosed = Callable[["EchoSession", int], None]

_NOT_STORED = Disconnect(Close.INTERNAL, "the transcript could not be stored")
_TOO_SLOW = Disconnect(Close.SLOW_CONSUMER, "too slow")


class EchoSession:
    """One socket. Meets LaneListener and `entrances.base.Client`."""

    def __init__(self, echo: "Echo", lane: Lane, user_id: int, expires_at: float, on_closed: OnClosed) -> None:
        self.expires_at = expires_at
        """When the token expires, in Unix seconds."""
        self._echo = echo
        self._lane = lane
        self._user_id = user_id
        self._on_closed = on_closed
        self._outbox = Outbox(lane, on_slow=self._on_slow)
        self._conversation = Conversation(echo.transcripts, user_id, on_lost=self._on_lost)
        self._is_paused = False
        self._is_attached = False
        self._closing: Disconnect | None = None

    # --- entrances.base.Client

    @property
    def log_fields(self) -> dict[str, object]:
        """Who it is, for the log."""
        return {"user_id": self._user_id, "session_id": self._conversation.session_id}

    @property
    def buffered(self) -> int:
        """Bytes that the client has not taken yet."""
        return self._lane.buffered

    def attach(self) -> None:
        """Start: the handshake is complete, messages come in from here on."""
        self._is_attached = True
        self._lane.attach(self)
        if self._closing is not None:
            self._lane.close(self._closing.code, self._closing.reason)

    def abandon(self) -> None:
        """The handshake failed: nothing is held yet."""

    def close(self, disconnect: Disconnect) -> None:
        """Close the socket, once it is open; what was answered before is written first."""
        if self._closing is not None:
            return
        self._closing = disconnect
        if self._is_attached:
            self._lane.close(disconnect.code, disconnect.reason)

    # --- LaneListener

    def on_message(self, payload: bytes, is_text: bool) -> None:
        """Take a message, and read on if there is room for more."""
        self._take(Message(payload, is_text))
        if not self._is_paused and self._lags():
            self._is_paused = True
            self._lane.pause_reading()
            self._echo.tasks.spawn(self._catch_up(), "echo catch-up")

    def on_closed(self, code: int) -> None:
        """The socket is gone. What was taken is still stored."""
        self._on_closed(self, code)

    # --- what a proxied session does otherwise

    def _take(self, message: Message) -> None:
        self._conversation.keep(message, Direction.IN, Direction.OUT, then=lambda: self._answer(message))

    def _lags(self) -> bool:
        return self._conversation.is_full or self._lane.buffered > WINDOW_BYTES

    async def _passed_on(self) -> None:
        """Return once all that was taken is stored, and where it belongs, or never will be."""
        await self._conversation.settled()

    # --- within

    def _answer(self, message: Message) -> None:
        self._outbox.offer(text_frame(message.payload) if message.is_text else binary_frame(message.payload))

    async def _taken(self) -> bool:
        """Whether the client has taken most of its answers; one that has not, in TAKE_S, is closed."""
        try:
            async with asyncio.timeout(TAKE_S):
                return await self._outbox.room()
        except TimeoutError:
            self._on_slow()
            return False

    async def _catch_up(self) -> None:
        await self._passed_on()
        if await self._taken():
            self._is_paused = False
            self._lane.resume_reading()

    def _on_slow(self) -> None:
        self._echo.metrics.slow_consumers.inc()
        self.close(_TOO_SLOW)

    def _on_lost(self) -> None:
        self._echo.metrics.transcripts_lost.inc()
        self.close(_NOT_STORED)


class ProxiedSession(EchoSession):
    """One socket whose messages go to the upstream, and the upstream's to it."""

    def __init__(
        self, echo: "Echo", lane: Lane, user_id: int, expires_at: float, on_closed: OnClosed, link: UpstreamLink
    ) -> None:
        super().__init__(echo, lane, user_id, expires_at, on_closed)
        self._link = link
        self._relaying: asyncio.Task[None] | None = None

    def attach(self) -> None:
        """Start, and connect to the upstream."""
        self._relaying = self._echo.tasks.spawn(self._relay(), "echo upstream")
        super().attach()

    def on_closed(self, code: int) -> None:
        """The socket is gone: leave the upstream."""
        if self._relaying is not None:
            self._relaying.cancel()
        super().on_closed(code)

    def _take(self, message: Message) -> None:
        self._conversation.keep(message, Direction.IN, then=lambda: self._link.send(message))

    def _lags(self) -> bool:
        return super()._lags() or self._link.queued > WINDOW_BYTES

    async def _passed_on(self) -> None:
        await super()._passed_on()
        await self._link.emptied()

    async def _relay(self) -> None:
        try:
            end = await self._link.run(self._on_answer)
            await self._conversation.settled()  # its last words come before its end
            self._echo.metrics.upstream_ended(end)
            self.close(Disconnect(Close.UPSTREAM_LOST, f"upstream {end}"))
        except Exception:
            # A defect of ours must show, and must not leave a client whose messages go nowhere.
            logger.exception("relay_failed", extra={"fields": self.log_fields})
            self.close(Disconnect(Close.INTERNAL))

    async def _on_answer(self, message: Message) -> None:
        """Pass on a message of the upstream's; the next is read when there is room for it."""
        if self._closing is not None:
            return
        self._conversation.keep(message, Direction.OUT, then=lambda: self._answer(message))
        if super()._lags():
            await self._conversation.settled()
            await self._taken()


@dataclass(frozen=True, slots=True)
class Echo:
    """What the echo sessions of this node share. Without an upstream it answers by itself."""

    transcripts: Transcripts
    tasks: Tasks
    metrics: ClientMetrics
    upstream: Upstream | None

    def session(self, lane: Lane, user_id: int, expires_at: float, on_closed: OnClosed) -> EchoSession:
        """The state behind one socket; never blocks."""
        if self.upstream is None:
            return EchoSession(self, lane, user_id, expires_at, on_closed)
        return ProxiedSession(self, lane, user_id, expires_at, on_closed, self.upstream.link())
