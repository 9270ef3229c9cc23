"""The output of one socket: prepared frames go directly to the kernel, past uvloop's buffer where that is empty.

Keeps: bytes are sent in the order in which they were passed, by any caller; nothing is written once the socket is
closing, nor to a file descriptor that may have been reused; what is held leaves in the same turn of the event loop.
"""

import asyncio
from os import write
from typing import Any

from gateway.interfaces.connection import NO_LIMIT
from gateway.protocol.frames import NOT_DIRECT, FrameSink


class SocketWriter(asyncio.Transport):
    """The transport that uvicorn's class uses: whatever writes or closes does so here, where the order is kept."""

    __slots__ = ("_fd", "_held", "_outlet", "_transport")

    def __init__(self, transport: Any) -> None:
        # asyncio's own __init__ is not called: it would create a dict for each socket.
        self._transport = transport
        self._fd = NOT_DIRECT
        """The socket's file descriptor; NOT_DIRECT: only the transport may write, as with TLS."""
        if transport.get_extra_info("ssl_object") is None:
            self._fd = transport.get_extra_info("socket").fileno()
        self._outlet: FrameSink | None = None
        self._held = b""
        """What leaves with the next frames, or at the end of this turn."""

    # --- for frames

    def hold(self, data: bytes) -> None:
        """Send this in one write with the frames that follow in this turn of the event loop, if any do.

        The greeting follows the response to a handshake: a write, and a packet, for both.
        """
        self._held += data
        asyncio.get_running_loop().call_soon(self._flush_held)

    def _flush_held(self) -> None:
        if self._held:
            self.send(b"")

    def serve(self, outlet: FrameSink) -> None:
        """Keep `fd` of this outlet set: the socket's own while nothing is buffered."""
        self._outlet = outlet

    def send(self, frames: bytes, limit: int = NO_LIMIT) -> bool:
        """Write complete server frames; False, and nothing is written, if the buffer would exceed `limit` bytes.

        If nothing is buffered, they are written to the kernel directly: uvloop's overhead is as large as the system
        call.
        """
        transport = self._transport
        if transport.is_closing():
            return True
        buffered = transport.get_write_buffer_size()
        if buffered + len(frames) > limit:
            return False
        if self._held:
            frames, self._held = self._held + frames, b""
        if buffered == 0 and self._fd != NOT_DIRECT:
            try:
                written = write(self._fd, frames)
            except OSError:  # the buffer is full or the socket is broken: the transport handles both
                written = 0
            if written == len(frames):
                if self._outlet is not None:
                    self._outlet.fd = self._fd
                return True
            frames = frames[written:]
        self.write(frames)
        return True

    def release(self) -> None:
        """Stop writing to the file descriptor, as the connection is lost: it will be reused."""
        self._fd, self._held = NOT_DIRECT, b""
        if self._outlet is not None:
            self._outlet.fd = NOT_DIRECT
            self._outlet = None

    # --- asyncio.Transport: what writes or closes makes the outlet's next frames wait for `send`, which keeps the order

    def write(self, data: Any) -> None:
        """Write after everything that is buffered."""
        self._queue_frames()
        held, self._held = self._held, b""
        self._transport.write(held + data if held else data)

    def write_eof(self) -> None:
        """End our side once everything is written."""
        self._flush_held()
        self._queue_frames()
        self._transport.write_eof()

    def close(self) -> None:
        """Close once everything is written."""
        self._flush_held()
        self._queue_frames()
        self._transport.close()

    def abort(self) -> None:
        """Close at once, and drop what is buffered."""
        self._held = b""
        self._queue_frames()
        self._transport.abort()

    def can_write_eof(self) -> bool:
        """TLS cannot."""
        return bool(self._transport.can_write_eof())

    def is_closing(self) -> bool:
        """Whether the transport is closing, or closed."""
        return bool(self._transport.is_closing())

    def get_write_buffer_size(self) -> int:
        """Bytes written here that the kernel has not taken yet."""
        return int(self._transport.get_write_buffer_size()) + len(self._held)

    @property
    def is_drained(self) -> bool:
        """Whether a close is complete at once: nothing is buffered, and there is no TLS, which ends by a handshake."""
        return self._fd != NOT_DIRECT and self._transport.get_write_buffer_size() == 0

    def pause_reading(self) -> None:
        """Read nothing from the kernel until `resume_reading`."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    def _queue_frames(self) -> None:
        if self._outlet is not None:
            self._outlet.fd = NOT_DIRECT
