"""The pings to the sockets of one server, and the timeouts of their pongs: one timer for all pings, one for all pongs.

Keeps: at most one ping of a socket awaits its pong, and the next ping is sent one interval after that pong; a socket
whose pong does not arrive in time is closed.
"""

import random
from operator import methodcaller
from typing import Final, Protocol

from gateway.transport.phase import Phase
from gateway.transport.socket_writer import SocketWriter
from gateway.transport.timeout_queue import TimeoutQueue

_PING_HEAD: Final = b"\x89\x04"


class PingedSocket(Protocol):
    """The socket's side."""

    pending_ping_payload: bytes | None
    """The payload of the ping that awaits its pong."""
    writer: SocketWriter

    @property
    def phase(self) -> Phase:
        """A socket gets pings while it is OPEN."""
        ...

    def keepalive_timeout(self) -> None:
        """Called when the pong is overdue."""
        ...


class Keepalive:
    """Shared by all sockets of one server. None as `interval_s`: no pings; as `timeout_s`: pongs have no timeout."""

    __slots__ = ("_pings", "_pongs")

    def __init__(self, interval_s: float | None, timeout_s: float | None) -> None:
        self._pings: TimeoutQueue[PingedSocket] | None = None
        """Sockets until their next ping."""
        self._pongs: TimeoutQueue[PingedSocket] | None = None
        """Sockets until the pong for their last ping."""
        if interval_s:
            self._pings = TimeoutQueue(interval_s, self._ping)
        if timeout_s:
            self._pongs = TimeoutQueue(timeout_s, methodcaller("keepalive_timeout"))

    def start(self, socket: PingedSocket) -> None:
        """Send the next ping one interval from now."""
        if self._pings is not None:
            self._pings.add(socket)

    def stop(self, socket: PingedSocket) -> None:
        """Send no more pings, and expect no pong."""
        socket.pending_ping_payload = None
        for queue in (self._pings, self._pongs):
            if queue is not None:
                queue.discard(socket)

    def expect_pong(self, socket: PingedSocket) -> None:
        """Start the timeout of the pong, or start it again."""
        if self._pongs is not None:
            self._pongs.add(socket)

    def on_pong(self, socket: PingedSocket, payload: bytes) -> None:
        """Schedule the next ping if this pong is for the last one; ignore any other pong."""
        if socket.pending_ping_payload is None or payload != socket.pending_ping_payload:
            return
        socket.pending_ping_payload = None
        if self._pongs is not None:
            self._pongs.discard(socket)
            self.start(socket)

    def _ping(self, socket: PingedSocket) -> None:
        """Send a ping without websockets' state machine, which an idle socket needs for nothing else."""
        if socket.phase is not Phase.OPEN:
            return
        socket.pending_ping_payload = random.randbytes(4)  # noqa: S311 - tells one ping from the next, guards nothing
        socket.writer.send(_PING_HEAD + socket.pending_ping_payload)
        if self._pongs is None:
            self.start(socket)
        else:
            self._pongs.add(socket)
