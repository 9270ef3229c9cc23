"""A fault: a function that causes it, waits, and returns once it has healed it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from tests.faults.rig import Rig
from tests.faults.schedule import Planned
from tests.faults.sockets import Socket


class TooLate(Exception):
    """Nobody writes any more: a fault that had to wait so long would prove nothing."""


class Blow(Protocol):
    """The receiver of the progress of a fault."""

    def hit(self) -> None:
        """It strikes now, and not when it was planned.

        Raises: TooLate, the first time, if it had better not.
        """

    def noticed(self) -> None:
        """The node that it befell has noticed by now."""


Act = Callable[[Rig, Sequence[Socket], Planned, Blow], Awaitable[None]]
