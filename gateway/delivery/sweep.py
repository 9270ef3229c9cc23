"""A broadcast to many subscribers, made in steps, so that a large chat does not hold the event loop.

Keeps: a sweep reaches the outlets of those who were subscribed when it began, except those that have left since. The
hub makes the sweeps of one chat one after the other, which keeps their order on every socket.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, TypeVar

from gateway.protocol.frames import FrameSink, write_to_all
from gateway.protocol.pushes import Push

STEP: Final = 100
"""Sockets a step: some 1 ms."""

logger = logging.getLogger("gateway.hub")

_Member = TypeVar("_Member")


class Sweep(ABC):
    """Reaches each outlet once, STEP of them with each `step`."""

    __slots__ = ("_at", "_gone", "_outlets")

    def __init__(self, outlets: Sequence[FrameSink]) -> None:
        self._outlets = outlets
        self._at = 0
        self._gone: set[FrameSink] = set()

    @property
    def has_begun(self) -> bool:
        """Whether a step was made."""
        return self._at > 0

    @property
    def waiting_bytes(self) -> int:
        """Bytes that are kept until it ends."""
        return 0

    def step(self) -> bool:
        """Reach the next outlets; True if they were the last."""
        outlets = self._outlets[self._at : self._at + STEP]
        self._at += STEP
        self._reach([outlet for outlet in outlets if outlet not in self._gone] if self._gone else outlets)
        return self._at >= len(self._outlets)

    def leave_out(self, outlet: FrameSink) -> None:
        """Its subscriber has left: it is not reached any more."""
        self._gone.add(outlet)

    @abstractmethod
    def _reach(self, outlets: Sequence[FrameSink]) -> None: ...


class FrameSweep(Sweep):
    """Writes frames to every outlet; to the keys of `own` other ones."""

    __slots__ = ("_frames", "_joins", "_own", "pushes", "reached", "size", "total")

    def __init__(
        self,
        outlets: Sequence[FrameSink],
        frames: bytes,
        own: Mapping[FrameSink, bytes],
        pushes: Sequence[Push],
        *,
        total: int,
        joins: int,
    ) -> None:
        super().__init__(outlets)
        self._frames = frames
        self._own = own
        self._joins = joins
        """How many had joined the audience when it began."""
        self.pushes = pushes
        """The pushes to report once it has ended."""
        self.total = total
        """The number of pushes that are in its frames."""
        self.reached = self.size = 0
        """Number of outlets that have accepted frames, and the bytes of all."""

    @property
    def waiting_bytes(self) -> int:
        """The size of its frames."""
        return len(self._frames)

    def absorb(self, later: "FrameSweep") -> bool:
        """Take the frames of the sweep that follows into this one; False if it has begun, or their outlets differ."""
        if self.has_begun or self._joins != later._joins or self._own or later._own:
            return False
        self._frames += later._frames
        self.pushes = [*self.pushes, *later.pushes]
        self.total += later.total
        return True

    def _reach(self, outlets: Sequence[FrameSink]) -> None:
        if not self._own:
            self._write(outlets, self._frames)
            return
        self._write([outlet for outlet in outlets if outlet not in self._own], self._frames)
        for outlet in outlets:
            if outlet in self._own:
                self._write([outlet], self._own[outlet])

    def _write(self, outlets: Sequence[FrameSink], frames: bytes) -> None:
        if frames:
            accepted = write_to_all(outlets, frames)
            self.reached += accepted
            self.size += accepted * len(frames)


class CallSweep(Sweep, Generic[_Member]):
    """Calls a function with each subscriber."""

    __slots__ = ("_call", "_subscribers")

    def __init__(self, subscribers: Mapping[FrameSink, _Member], call: Callable[[_Member], None]) -> None:
        super().__init__(list(subscribers))
        self._subscribers = subscribers
        self._call = call

    def _reach(self, outlets: Sequence[FrameSink]) -> None:
        for outlet in outlets:
            try:
                self._call(self._subscribers[outlet])
            except Exception:  # the others are called all the same
                logger.exception("broadcast_failed")
