"""The send queue of one session: bounded, and never blocking.

Keeps invariant 2: a write that does not fit closes this client as a slow consumer. Nothing is dropped silently, and no
other client waits. The bytes are in the transport's own buffer, so that an idle queue costs nothing. A client is slow
only if earlier bytes are pending: an empty queue accepts one write of any size (a commit of 200 of the longest texts is
1.2 MB).
"""

from collections.abc import Callable

from gateway.interfaces.connection import Connection
from gateway.protocol.frames import NOT_DIRECT, write_to_all

DEFAULT_LIMIT = 1024 * 1024
"""Bytes that the kernel has not accepted yet."""


def _ignore() -> None:
    """Do nothing: there is no session any more."""


class SendQueue:
    """Frames for one client over its connection. `on_slow` is called once, when the limit is exceeded."""

    __slots__ = ("_connection", "_is_slow", "_limit", "_on_slow", "fd")

    def __init__(self, connection: Connection, on_slow: Callable[[], None], limit: int = DEFAULT_LIMIT) -> None:
        self._connection = connection
        self._on_slow = on_slow
        self._limit = limit
        self._is_slow = False
        self.fd = NOT_DIRECT
        """The transport keeps it (FrameSink)."""
        connection.serve(self)

    def queue(self, frames: bytes) -> bool:
        """Write complete frames through the connection; False if the client is too slow and is being closed."""
        if self._is_slow:
            return False
        if self._connection.write(frames, self._limit) or (
            self._connection.buffered == 0 and self._connection.write(frames)
        ):
            return True
        self._is_slow = True
        self._on_slow()
        return False

    def release(self) -> None:
        """Call `on_slow` no more: the socket is closed."""
        self._on_slow = _ignore

    def offer(self, frames: bytes) -> bool:
        """Write complete frames; False if the client is too slow and is being closed."""
        return write_to_all((self,), frames) == 1

    async def wait_writable(self) -> bool:
        """Wait until most of the pending bytes are sent; False if the socket is closing."""
        return not self._is_slow and await self._connection.drained()
