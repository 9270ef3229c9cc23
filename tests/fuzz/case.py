"""What a target is, and a case: the input of one check."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from random import Random
from typing import Protocol

Case = tuple[bytes, ...]
"""A target's input, such as the reads of one socket; a target gives each piece its meaning."""


class Target(Protocol):
    """One reader of foreign bytes."""

    name: str
    cpu_s: float
    """The most CPU seconds that one check may take: several times what it takes on a slow machine."""

    def case(self, random: Random) -> Case:
        """A generated case. The same state of `random` gives the same case."""
        ...

    async def check(self, case: Case) -> None:
        """Return if everything holds that must hold for this input, whatever it is.

        Raises: AssertionError, or any exception of the code under test.
        """
        ...


OpenTarget = Callable[[], AbstractAsyncContextManager[Target]]


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that failed, minimised, and how."""

    target: str
    case: Case
    reason: str

    @property
    def test(self) -> str:
        """The line of `tests/fuzz/regressions.py` for this case."""
        pieces = "".join(f"        {piece!r},\n" for piece in self.case)
        return f'    "a name": (\n        "{self.target}",\n{pieces}    ),\n'
