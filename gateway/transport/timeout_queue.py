"""A queue of equal timeouts driven by one timer.

One event loop timer per socket would cost as much to set and cancel as a small message costs to read.

Keeps: no call is made before its timeout, nor later than 1/STEPS of the timeout (and a turn of the loop) after it; a
discarded item is not called; many items that are due together are called AT_ONCE per turn of the loop.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, TypeVar

STEPS: Final = 32
AT_ONCE: Final = 100

_One = TypeVar("_One")


class TimeoutQueue(Generic[_One]):
    """Calls `call` once with each item, `delay_s` after it was added. Belongs to one event loop."""

    __slots__ = ("_call", "_delay_s", "_due", "_step_s", "_timer")

    def __init__(self, delay_s: float, call: Callable[[_One], None]) -> None:
        self._delay_s = delay_s
        self._call = call
        self._step_s = delay_s / STEPS
        self._due: OrderedDict[_One, float] = OrderedDict()
        """Each item's deadline by the loop's clock, in order."""
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due)

    def add(self, one: _One) -> None:
        """Start the timeout of this item, or restart it."""
        loop = asyncio.get_running_loop()
        self._due.pop(one, None)
        self._due[one] = loop.time() + self._delay_s
        if self._timer is None:
            self._timer = loop.call_later(self._delay_s, self._run)

    def discard(self, one: _One) -> None:
        """Remove this item, if it is in the queue."""
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
            except Exception as error:  # an exception for one item must not prevent the calls for the others
                loop.call_exception_handler({"message": "a deadline's call failed", "exception": error})
