"""Seam: the direct lane between a socket and its session. `gateway.transport` meets it.

Bytes of whole messages come in without a queue, framed bytes go out without an await.
"""

import sys
from collections.abc import Callable
from typing import Protocol

from gateway.outlet import Outlet

NO_LIMIT = sys.maxsize
LANE = "chat_gateway.lane"
"""The ASGI scope's extension under which the transport offers its lane."""


class LaneListener(Protocol):
    """The session's side; both methods are synchronous and must not block."""

    def on_message(self, payload: bytes, is_text: bool) -> None:
        """One whole message (fragments joined, UTF-8 checked)."""
        ...

    def on_closed(self, code: int) -> None:
        """The socket is gone, with the peer's close code, ours, or 1006; called exactly once."""
        ...


class Lane(Protocol):
    """The socket's side; every method returns at once."""

    def attach(self, listener: LaneListener) -> None:
        """Send what comes in to `listener` from now on, what arrived since the handshake first."""
        ...

    def serve(self, outlet: Outlet) -> None:
        """Keep this outlet's `write` what is best for the moment."""
        ...

    def write(self, frames: bytes, limit: int = NO_LIMIT) -> bool:
        """Write complete server frames; False, and nothing is written, if they and what is buffered exceed `limit`.

        Ignored, and True, once the socket is closing.
        """
        ...

    @property
    def buffered(self) -> int:
        """Bytes written here that the kernel has not taken yet."""
        ...

    async def drained(self) -> bool:
        """Return once the buffer is below its high-water mark; False if the socket is closing."""
        ...

    def pause_reading(self) -> None:
        """Deliver no message until `resume_reading`: the session has enough to do."""
        ...

    def resume_reading(self) -> None:
        """Take messages again."""
        ...

    def close(self, code: int, reason: str = "") -> None:
        """Start the closing handshake, with a reason of at most 123 bytes; ignored if the peer has started it already.

        The transport is aborted after a bound, whatever the peer does.
        """
        ...

    def when_closed(self, call: Callable[[int], None] | None) -> bool:
        """Call this, with the close code, once the socket is gone: for who has no listener yet.

        False, and nobody is called, if it is gone already. One caller at a time; None calls nobody any more.
        """
        ...
