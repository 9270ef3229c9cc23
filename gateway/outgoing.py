"""The way out of one socket: from prepared frames to the kernel, past everything that is not needed.

Keeps: frames leave in the order in which they were given, whoever gives them; nothing is written once the socket is
closing, nor to a descriptor that may be another's by now.
"""

from asyncio.transports import BaseTransport
from collections.abc import Callable
from functools import partial
from os import write as write_to_kernel
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gateway.lane import NO_LIMIT
from gateway.outlet import Outlet


class Outgoing(WebSocketsSansIOProtocol):
    """What `gateway.transport.Transport` has of a lane's outgoing side (see `gateway.lane.Lane`)."""

    __slots__ = ("_outlet", "_to_kernel", "_transport")

    def __init__(self) -> None:
        self._transport: Any = None
        self._to_kernel: Callable[[bytes], int] | None = None
        """Writes to the socket itself."""
        self._outlet: Outlet | None = None

    @property
    def transport(self) -> Any:
        """uvloop's. Whoever takes it may write to it or close it: what is for the outlet queues up from then on, and
        `write` finds out whether anything is before it. So no way that uvicorn or we may take leads past this.
        """
        if self._outlet is not None:
            self._outlet.write = self._outlet.queue
        return self._transport

    @transport.setter
    def transport(self, transport: Any) -> None:
        self._transport = transport

    def serve(self, outlet: Outlet) -> None:
        """Keep this outlet's `write` what is best for the moment."""
        self._outlet = outlet

    def write(self, frames: bytes, limit: int = NO_LIMIT) -> bool:
        """Write complete server frames; False, and nothing is written, if they and what is buffered exceed `limit`.

        With nothing buffered they go to the kernel from here: uvloop's own way there costs as much as the system call.
        """
        transport = self._transport
        if self.close_sent or transport.is_closing():
            return True
        buffered = transport.get_write_buffer_size()
        if buffered + len(frames) > limit:
            return False
        if buffered == 0 and self._to_kernel is not None:
            try:
                taken = self._to_kernel(frames)
            except OSError:  # full, or broken: the transport finds out and does what is to be done
                taken = 0
            if taken == len(frames):
                if self._outlet is not None:
                    self._outlet.write = self._to_kernel
                return True
            frames = frames[taken:]
        self.transport.write(frames)
        return True

    @property
    def buffered(self) -> int:
        """Bytes written here that the kernel has not taken yet."""
        size: int = self._transport.get_write_buffer_size()
        return size

    async def drained(self) -> bool:
        """Return once the buffer, if it was above its high-water mark, is below the low one; False if closing."""
        await self.writable.wait()
        return not (self.close_sent or self._transport.is_closing())

    def look_for_kernel(self, transport: BaseTransport) -> None:
        """Write past this transport from now on, where what is written to it goes out as it is."""
        if transport.get_extra_info("ssl_object") is None:
            self._to_kernel = partial(write_to_kernel, transport.get_extra_info("socket").fileno())

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone, and its descriptor will be another's."""
        self._to_kernel = None
        if self._outlet is not None:
            self._outlet.write = len  # takes it all, to nowhere
            self._outlet = None
        super().connection_lost(exc)
