"""The outbound side of one session: bounded, and never waiting.

Keeps invariant 2: what does not fit closes this client as a slow consumer. Nothing is dropped silently, and nobody else
waits. The bytes lie in the transport's own buffer, so that an idle outbox costs nothing. Slow is who has not taken what
came before: an empty outbox takes one write of any size (a commit of 200 of the longest texts is 1.2 MB).
"""

from collections.abc import Callable

from gateway.lane import Lane
from gateway.outlet import REFUSED, write_to_all

DEFAULT_LIMIT = 1024 * 1024
"""Bytes that the kernel has not taken yet."""


class Outbox:
    """Frames for one client over its lane. `on_slow` is called once, when the client has fallen too far behind."""

    __slots__ = ("_is_slow", "_lane", "_limit", "_on_slow", "write")

    def __init__(self, lane: Lane, on_slow: Callable[[], None], limit: int = DEFAULT_LIMIT) -> None:
        self._lane = lane
        self._on_slow = on_slow
        self._limit = limit
        self._is_slow = False
        self.write: Callable[[bytes], int] = self.queue
        """See Outlet."""
        lane.serve(self)

    def queue(self, frames: bytes) -> int:
        """See Outlet: it refuses a client that is too slow, and is being closed for it."""
        if self._is_slow:
            return REFUSED
        if self._lane.write(frames, self._limit) or (self._lane.buffered == 0 and self._lane.write(frames)):
            return len(frames)
        self._is_slow = True
        self._on_slow()
        return REFUSED

    def offer(self, frames: bytes) -> bool:
        """Write complete frames; False if the client is too slow, and being closed for it."""
        return write_to_all((self,), frames) == 1

    async def room(self) -> bool:
        """Return once the client has taken most of what it was given; False if the socket is closing."""
        return not self._is_slow and await self._lane.drained()
