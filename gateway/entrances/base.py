"""What an entrance is: the seam between a URL family's rules and the one place that accepts and refuses sockets."""

from collections.abc import Callable
from typing import Protocol

from starlette.websockets import WebSocket

from gateway.codes import Disconnect
from gateway.lane import Lane


class Client(Protocol):
    """Whoever is in: what the node's register, its drain and the clock of its tokens see of a socket's state."""

    @property
    def expires_at(self) -> float:
        """When the token expires, in Unix seconds; infinite without one."""
        ...

    @property
    def log_fields(self) -> dict[str, object]:
        """Who it is, for the log: ids, never a token."""
        ...

    @property
    def buffered(self) -> int:
        """Bytes that the client has not taken yet."""
        ...

    def attach(self) -> None:
        """Start: the handshake is complete, messages come in from here on."""
        ...

    def abandon(self) -> None:
        """The handshake failed: give back what `open` took; `on_closed` is never called."""
        ...

    def close(self, disconnect: Disconnect) -> None:
        """Close the socket, once it is open; never blocks."""
        ...


OnClosed = Callable[[Client, int], None]
"""Told once, after `attach`, that the socket is gone, with the close code."""


class Entry(Protocol):
    """Everything is in order for one socket, and whatever it needs is held for it."""

    @property
    def subprotocol(self) -> str | None:
        """What the handshake answers to the subprotocols offered."""
        ...

    def open(self, lane: Lane, on_closed: OnClosed) -> Client:
        """The state behind the socket; called at once, before accept, and exactly once. Never blocks."""
        ...


class Entrance(Protocol):
    """One URL family's way in."""

    @property
    def name(self) -> str:
        """A short constant: the label of metrics and logs."""
        ...

    async def enter(self, websocket: WebSocket) -> Entry:
        """Check everything, and take what the socket needs.

        Raises: Problem (the answer to the handshake), StorageUnavailable, RedisUnavailable.
        """
        ...
