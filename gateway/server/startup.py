"""The end of a node's startup: when its own sockets listen or, under `up`, when those of all replicas do."""

from typing import Protocol


class StartupBarrier(Protocol):
    """Readiness stays `starting` until this is open."""

    @property
    def is_open(self) -> bool:
        """Whether startup is complete; never becomes False again."""
        ...

    def listening(self) -> None:
        """Called once, when this node's sockets accept connections."""
        ...


class NoBarrier:
    """The startup barrier of a node that waits for no other node."""

    def __init__(self) -> None:
        self.is_open = False

    def listening(self) -> None:
        """Open the barrier."""
        self.is_open = True
