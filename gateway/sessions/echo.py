"""Seed 003's echo channel: returns each message verbatim, or relays it to the upstream and returns its messages.

Invariants: a message is stored before it is echoed or sent to the upstream. While responses, transcript or upstream of
a session lag, its socket is not read, so that its memory is bounded. Every wait has a timeout: the store and the
upstream have their own, and a client that reads nothing for TAKE_S is closed.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from gateway.interfaces.connection import RELAYED_BYTES_PER_COST, Connection
from gateway.interfaces.session import OnClosed
from gateway.interfaces.transcripts import Transcripts
from gateway.metrics.clients import ClientMetrics
from gateway.protocol.codes import Close, Disconnect
from gateway.protocol.frames import binary_frame, text_frame
from gateway.sessions.echo_quota import Allowance, EchoQuota
from gateway.sessions.echo_transcript import WINDOW_BYTES, Conversation, Message
from gateway.sessions.echo_upstream import Upstream, UpstreamLink
from gateway.sessions.send_queue import SendQueue
from gateway.tasks import Tasks
from storage.auth_records import Credential
from storage.records import Direction, Person, Quota

logger = logging.getLogger("gateway.echo")

TAKE_S: Final = 20.0
"""Time that a client has to read most of its pending responses while its socket is not read."""

_NOT_STORED = Disconnect(Close.INTERNAL, "the transcript could not be stored")
_EXCEEDED: Final = {
    Quota.ECHO_SESSION: Disconnect(Close.QUOTA_EXCEEDED, "this session's transcript is full"),
    Quota.ECHO_USER: Disconnect(Close.QUOTA_EXCEEDED, "the user's transcripts of this hour are full"),
    Quota.ECHO_ADDRESS: Disconnect(Close.QUOTA_EXCEEDED, "the address's transcripts of this hour are full"),
}
_TOO_SLOW = Disconnect(Close.SLOW_CONSUMER, "too slow")


class EchoSession:
    """The state of one socket. Implements ConnectionListener and OpenSession."""

    def __init__(
        self,
        echo: "EchoService",
        connection: Connection,
        user_id: int,
        credential: Credential,
        on_closed: OnClosed,
        allowance: Allowance,
    ) -> None:
        self.credential = credential
        self._echo = echo
        self._connection = connection
        self._user_id = user_id
        self._on_closed = on_closed
        self._send_queue = SendQueue(connection, on_slow=self._on_slow)
        self._allowance = allowance
        self._conversation = Conversation(
            echo.transcripts, user_id, allowance, on_lost=self._on_lost, on_exceeded=self._on_exceeded
        )
        self._is_paused = False
        self._is_attached = False
        self._closing: Disconnect | None = None

    # --- OpenSession

    @property
    def log_fields(self) -> dict[str, object]:
        """The ids that identify the session in the log."""
        return {"user_id": self._user_id, "session_id": self._conversation.session_id}

    @property
    def buffered(self) -> int:
        """Bytes written but not yet accepted by the kernel."""
        return self._connection.buffered

    def attach(self) -> None:
        """Start to receive messages: the handshake is complete."""
        self._is_attached = True
        self._connection.attach(self, RELAYED_BYTES_PER_COST)
        if self._closing is not None:
            self._connection.close(self._closing.code, self._closing.reason)

    def abandon(self) -> None:
        """Do nothing after a failed handshake: nothing is held yet."""

    def close(self, disconnect: Disconnect) -> None:
        """Close the socket, once it is open; earlier responses are written first."""
        if self._closing is not None:
            return
        self._closing = disconnect
        if self._is_attached:
            self._connection.close(disconnect.code, disconnect.reason)

    def rename(self, person: Person) -> None:
        """Do nothing: an echo socket shows no names."""

    def warn_of_expiry(self, now: float) -> None:
        """Do nothing: an echo socket has no messages of ours."""

    # --- ConnectionListener

    def on_message(self, payload: bytes, is_text: bool) -> None:
        """Process a message; pause reading while the session lags."""
        self._take(Message(payload, is_text))
        if not self._is_paused and self._lags():
            self._is_paused = True
            self._connection.pause_reading()
            self._echo.tasks.spawn(self._catch_up(), "echo catch-up")

    def on_closed(self, code: int) -> None:
        """Report that the socket is closed; received messages are still stored."""
        self._allowance.close()
        self._on_closed(self, code)

    # --- overridden by ProxiedSession

    def _take(self, message: Message) -> None:
        self._conversation.keep(message, Direction.IN, Direction.OUT, then=lambda: self._answer(message))

    def _lags(self) -> bool:
        return self._conversation.is_full or self._connection.buffered > WINDOW_BYTES

    async def _wait_processed(self) -> None:
        """Wait until all received messages are stored and relayed, or have failed."""
        await self._conversation.settled()

    # --- private

    def _answer(self, message: Message) -> None:
        self._send_queue.offer(text_frame(message.payload) if message.is_text else binary_frame(message.payload))

    async def _wait_client_ready(self) -> bool:
        """Wait until the client has read most of its responses; close it and return False after TAKE_S."""
        try:
            async with asyncio.timeout(TAKE_S):
                return await self._send_queue.wait_writable()
        except TimeoutError:
            self._on_slow()
            return False

    async def _catch_up(self) -> None:
        await self._wait_processed()
        if await self._wait_client_ready():
            self._is_paused = False
            self._connection.resume_reading()

    def _on_slow(self) -> None:
        self._echo.metrics.slow_consumers.inc()
        self.close(_TOO_SLOW)

    def _on_lost(self) -> None:
        self._echo.metrics.transcripts_lost.inc()
        self.close(_NOT_STORED)

    def _on_exceeded(self, quota: Quota) -> None:
        self._echo.metrics.quota_exceeded(quota)
        logger.info("echo_quota_exceeded", extra={"fields": {**self.log_fields, "quota": quota}})
        self.close(_EXCEEDED[quota])


class ProxiedSession(EchoSession):
    """The state of one socket whose messages are relayed to the upstream and back."""

    def __init__(
        self,
        echo: "EchoService",
        connection: Connection,
        user_id: int,
        credential: Credential,
        on_closed: OnClosed,
        allowance: Allowance,
        link: UpstreamLink,
    ) -> None:
        super().__init__(echo, connection, user_id, credential, on_closed, allowance)
        self._link = link
        self._relay_task: asyncio.Task[None] | None = None

    def attach(self) -> None:
        """Start to receive messages, and connect to the upstream."""
        self._relay_task = self._echo.tasks.spawn(self._relay(), "echo upstream")
        super().attach()

    def on_closed(self, code: int) -> None:
        """Disconnect from the upstream, as the socket is closed."""
        if self._relay_task is not None:
            self._relay_task.cancel()
        super().on_closed(code)

    def _take(self, message: Message) -> None:
        self._conversation.keep(message, Direction.IN, then=lambda: self._link.send(message))

    def _lags(self) -> bool:
        return super()._lags() or self._link.queued > WINDOW_BYTES

    async def _wait_processed(self) -> None:
        await super()._wait_processed()
        await self._link.emptied()

    async def _relay(self) -> None:
        try:
            end = await self._link.run(self._on_answer)
            await self._conversation.settled()  # its last messages are relayed before the close
            self._echo.metrics.upstream_ended(end)
            self.close(Disconnect(Close.UPSTREAM_LOST, f"upstream {end}"))
        except Exception:
            # A defect must be logged, and must not leave a client whose messages are not relayed.
            logger.exception("relay_failed", extra={"fields": self.log_fields})
            self.close(Disconnect(Close.INTERNAL))

    async def _on_answer(self, message: Message) -> None:
        """Relay a message of the upstream; the next one is read when there is room for it."""
        if self._closing is not None:
            return
        self._conversation.keep(message, Direction.OUT, then=lambda: self._answer(message))
        if super()._lags():
            await self._conversation.settled()
            await self._wait_client_ready()


@dataclass(frozen=True, slots=True)
class EchoService:
    """Shared by the echo sessions of this node. Without an upstream, messages are echoed here."""

    transcripts: Transcripts
    tasks: Tasks
    metrics: ClientMetrics
    upstream: Upstream | None
    quota: EchoQuota

    def session(
        self, user_id: int, address: str, credential: Credential, connection: Connection, on_closed: OnClosed
    ) -> EchoSession:
        """Create the state of one socket; never blocks."""
        allowance = self.quota.allowance(user_id, address)
        if self.upstream is None:
            return EchoSession(self, connection, user_id, credential, on_closed, allowance)
        return ProxiedSession(self, connection, user_id, credential, on_closed, allowance, self.upstream.link())
