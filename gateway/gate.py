"""When a node's start is over: at once when it is alone, and once all of them listen under `up`."""

from typing import Protocol


class Gate(Protocol):
    """Readiness stays `starting` while this is shut."""

    @property
    def is_open(self) -> bool:
        """Whether the start is over; it never shuts again."""
        ...

    def listening(self) -> None:
        """To be called once, when this node's sockets take connections."""
        ...


class OwnGate:
    """The gate of a node that waits for no other."""

    def __init__(self) -> None:
        self.is_open = False

    def listening(self) -> None:
        """Opens it."""
        self.is_open = True
