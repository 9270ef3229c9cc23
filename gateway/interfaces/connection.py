"""The direct connection between a socket and its session. Implemented by `gateway.transport.direct_connection`.

Whole messages arrive by a method call, without a queue; frames are written without an await.
"""

import sys
from collections.abc import Callable
from typing import Final, Protocol

from gateway.protocol.frames import FrameSink

NO_LIMIT = sys.maxsize
CONNECTION = "chat_gateway.lane"
"""The name of the ASGI scope extension that holds the connection."""
HTTP_SOCKET: Final = "chat_gateway.http_socket"
"""The name of the extension that holds the `HttpSocket` of an HTTP request; absent behind other servers."""
DECODED_BYTES_PER_COST: Final = 2 * 1024
"""The part of a JSON message that takes as long to decode as a short message takes altogether."""
RELAYED_BYTES_PER_COST: Final = 32 * 1024
"""The same for a message that is passed on as it is."""


class ConnectionListener(Protocol):
    """The session's side; both methods are synchronous and must not block."""

    def on_message(self, payload: bytes, is_text: bool) -> None:
        """One whole message (fragments joined, UTF-8 checked)."""
        ...

    def on_closed(self, code: int) -> None:
        """The socket is closed, with the close code of the peer, our own, or 1006; called exactly once."""
        ...


class Connection(Protocol):
    """The socket's side; every method returns at once."""

    def attach(self, listener: ConnectionListener, bytes_per_cost: int = DECODED_BYTES_PER_COST) -> None:
        """Deliver messages to `listener` from now on, starting with those that arrived since the handshake.

        In the rate of the socket, `bytes_per_cost` bytes of a message count as one more frame.
        """
        ...

    def serve(self, outlet: FrameSink) -> None:
        """Keep `outlet.fd` set: whether frames may be written directly, past this connection."""
        ...

    def write(self, frames: bytes, limit: int = NO_LIMIT) -> bool:
        """Write complete server frames; False, and nothing is written, if buffered bytes and frames exceed `limit`.

        Ignored, and True, once the socket is closing.
        """
        ...

    @property
    def buffered(self) -> int:
        """Bytes written but not yet accepted by the kernel."""
        ...

    async def drained(self) -> bool:
        """Wait until the buffer is below its high-water mark; False if the socket is closing."""
        ...

    def pause_reading(self) -> None:
        """Deliver no message until `resume_reading`; this puts backpressure on the client."""
        ...

    def resume_reading(self) -> None:
        """Deliver messages again."""
        ...

    def close(self, code: int, reason: str = "") -> None:
        """Start the closing handshake, with a reason of at most 123 bytes; ignored if the peer has started it already.

        The transport is aborted after a timeout, whatever the peer does.
        """
        ...

    def when_closed(self, call: Callable[[int], None] | None) -> bool:
        """Set the callback for the close code while there is no listener yet; None removes it.

        False if the socket is closed already; the callback is then not called. There is one callback at a time.
        """
        ...


class HttpSocket(Protocol):
    """The socket of an HTTP request whose response is long. Implemented by `gateway.transport.http_protocol`."""

    def expect_acks(self, within_s: float) -> None:
        """Disconnect a peer whose kernel does not acknowledge sent bytes in time: it is gone without a FIN."""
        ...

    def abort(self) -> None:
        """Disconnect at once, and discard what is buffered."""
        ...
