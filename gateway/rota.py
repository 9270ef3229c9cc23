"""Many that wait equally long, and one timer for all of them.

A timer of the event loop's own for each socket costs as much to set and cancel as a small message does to read.

Keeps: nobody is called before the time is over, nor more than a STEPS-th of it (and a turn of the loop) after it; who
was taken out is not called; a crowd that is due at once is called AT_ONCE at a time, with turns of the loop between.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, TypeVar

STEPS: Final = 32
AT_ONCE: Final = 100

_One = TypeVar("_One")


class Rota(Generic[_One]):
    """Calls `call` with each one, once, `delay_s` after it was added. For the loop in which it is used."""

    __slots__ = ("_call", "_delay_s", "_due", "_step_s", "_timer")

    def __init__(self, delay_s: float, call: Callable[[_One], None]) -> None:
        self._delay_s = delay_s
        self._call = call
        self._step_s = delay_s / STEPS
        self._due: OrderedDict[_One, float] = OrderedDict()
        """By the loop's time, the next first."""
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due)

    def add(self, one: _One) -> None:
        """From now on, also if it waited already."""
        loop = asyncio.get_running_loop()
        self._due.pop(one, None)
        self._due[one] = loop.time() + self._delay_s
        if self._timer is None:
            self._timer = loop.call_later(self._delay_s, self._run)

    def discard(self, one: _One) -> None:
        """It waits no more; perhaps it did not."""
        self._due.pop(one, None)

    def _run(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        now = loop.time()
        due: list[_One] = []
        while self._due and len(due) < AT_ONCE and next(iter(self._due.values())) <= now:
            due.append(self._due.popitem(last=False)[0])
        if self._due:
            wait_s = next(iter(self._due.values())) - now
            self._timer = loop.call_later(0 if wait_s <= 0 else max(wait_s, self._step_s), self._run)
        for one in due:
            try:
                self._call(one)
            except Exception as error:  # one's defect must not cost the others their turn
                loop.call_exception_handler({"message": "a deadline's call failed", "exception": error})
