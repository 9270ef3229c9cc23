"""The direct connection of one socket to its session: messages in, frames out, and the session's pause and close.

Keeps: messages are delivered in order, none while the session has paused and none after the close is reported, which
happens once. An exception in the listener closes the socket: an open one would have no reader.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from websockets.frames import CloseCode

from gateway.interfaces.connection import DECODED_BYTES_PER_COST, NO_LIMIT, ConnectionListener
from gateway.protocol.frames import FrameSink
from gateway.transport.incoming import Incoming
from gateway.transport.phase import Phase
from gateway.transport.socket_writer import SocketWriter

logger = logging.getLogger("gateway.transport")


class DirectSocket(Protocol):
    """The socket's side."""

    close_sent: bool
    writable: asyncio.Event

    @property
    def phase(self) -> Phase:
        """Where the socket is in its life."""
        ...

    def take_queued(self, bytes_per_cost: int) -> list[tuple[bytes, bool]]:
        """Take the messages that are queued for the application; further ones are not queued."""
        ...

    def start_close(self, code: int, reason: str = "") -> None:
        """Start the closing handshake, if the socket is OPEN."""
        ...

    def close_code(self) -> int:
        """Ours, or the peer's, or 1006."""
        ...


class _LostSocket:
    """Stands for a socket whose loss was reported: a session that still refers to its connection keeps no socket."""

    close_sent = disconnected = True
    read_paused = False
    phase = Phase.CLOSED

    def __init__(self) -> None:
        self.writable = asyncio.Event()
        self.writable.set()

    def take_queued(self, _: int) -> list[tuple[bytes, bool]]:
        """None is left."""
        return []

    def start_close(self, code: int, reason: str = "") -> None:
        """It is closed."""

    def close_code(self) -> int:
        """It has been reported."""
        return CloseCode.ABNORMAL_CLOSURE

    def handle_input(self, data: bytes, _: int) -> int:
        """Discard it."""
        return len(data)

    def close_flood(self) -> None:
        """It is closed."""


_LOST: Final = _LostSocket()


class DirectConnection:
    """Implements `gateway.interfaces.connection`; the ASGI scope's extension `CONNECTION` refers to it."""

    __slots__ = ("_held", "_incoming", "_is_close_reported", "_socket", "_when_closed", "_writer", "listener")

    def __init__(self, socket: DirectSocket, writer: SocketWriter, incoming: Incoming) -> None:
        self._socket, self._writer, self._incoming = socket, writer, incoming
        self.listener: ConnectionListener | None = None
        self._held: deque[tuple[bytes, bool]] | None = None
        """Whole messages of the portion during which the listener paused: at most frame_reader.PORTION."""
        self._is_close_reported = False
        self._when_closed: Callable[[int], None] | None = None

    # --- called by the session

    def attach(self, listener: ConnectionListener, bytes_per_cost: int = DECODED_BYTES_PER_COST) -> None:
        """Deliver messages to `listener` from now on, first those received since the handshake. Called after accept."""
        self.listener = listener
        for message, is_text in self._socket.take_queued(bytes_per_cost):
            self.take(message, is_text)
        if self._socket.phase is Phase.CLOSED:
            self.report_closed()

    def serve(self, outlet: FrameSink) -> None:
        """Keep `fd` of this outlet set: whether frames may be written directly, past this connection."""
        self._writer.serve(outlet)

    def write(self, frames: bytes, limit: int = NO_LIMIT) -> bool:
        """Write complete server frames; False, and nothing is written, if the buffer would exceed `limit` bytes."""
        return self._socket.close_sent or self._writer.send(frames, limit)

    @property
    def buffered(self) -> int:
        """Bytes written here that the kernel has not taken yet."""
        return self._writer.get_write_buffer_size()

    async def drained(self) -> bool:
        """Wait for a buffer above its high-water mark to fall below the low one; False if the socket is closing."""
        await self._socket.writable.wait()
        return self._socket.phase < Phase.CLOSING

    def pause_reading(self) -> None:
        """Deliver no messages until `resume_reading`, and read none from the kernel."""
        if not self._incoming.is_paused and self._socket.phase < Phase.CLOSING:
            self._incoming.pause()

    def resume_reading(self) -> None:
        """Deliver messages again, held ones first; the listener may pause again in between."""
        incoming = self._incoming
        if not incoming.is_paused:
            return
        incoming.is_paused = False
        while self._held and not incoming.is_paused and self.listener is not None:
            self._deliver(self.listener, *self._held.popleft())
        incoming.resume_if_free()

    def close(self, code: int, reason: str = "") -> None:
        """Start the closing handshake; ignored if the socket is not OPEN, or the peer has closed."""
        self._socket.start_close(code, reason)

    def when_closed(self, call: Callable[[int], None] | None) -> bool:
        """Set the only function to call when the connection is lost; False, without a call, if it already is lost."""
        self._when_closed = call
        return self._socket.phase is not Phase.CLOSED

    # --- called by the socket

    def take(self, message: bytes, is_text: bool) -> bool:
        """Deliver a message to the listener, or hold it while the session has paused; False if there is no listener."""
        listener = self.listener
        if listener is None:
            return False
        if self._incoming.is_paused:
            self._held = self._held or deque()
            self._held.append((message, is_text))
        else:
            self._deliver(listener, message, is_text)
        return True

    def deliver_held(self) -> None:
        """Deliver what is held, though the session has paused: the peer has closed."""
        while self._held and self.listener is not None:
            self._deliver(self.listener, *self._held.popleft())

    def drop_held(self) -> None:
        """Discard what is held: we have closed, or the connection is lost."""
        self._held = None

    def report_lost(self) -> None:
        """Report the loss of the connection to `when_closed` and to the listener."""
        if self._when_closed is not None:
            self._when_closed(self._socket.close_code())
        self.report_closed()
        if self.listener is not None:  # without these cycles, nothing of it waits for a full collection of garbage
            self.listener, self._socket = None, _LOST
            self._incoming.release(_LOST)

    def report_closed(self) -> None:
        """Report the close to the listener, if that has not been done."""
        if self.listener is not None and not self._is_close_reported:
            self._is_close_reported = True
            try:
                self.listener.on_closed(self._socket.close_code())
            except Exception:
                logger.exception("close_failed")

    def _deliver(self, listener: ConnectionListener, message: bytes, is_text: bool) -> None:
        try:
            listener.on_message(message, is_text)
        except Exception:
            logger.exception("message_failed")
            self._socket.start_close(CloseCode.INTERNAL_ERROR)
