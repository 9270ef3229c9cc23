"""Long work in portions, in later turns of the event loop: a queue for input of sockets and for broadcasts, and a loop.

Keeps: however many items a queue has, all of them together take at most one slice of a turn plus the excess of one
call; then everything else is served. The one that has waited longest is next. An item that continues without waiting,
as no other waits (`has_time`), takes from the same slice.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from math import inf
from time import perf_counter, thread_time
from typing import Final, Generic, TypeVar

SLICE_S: Final = 0.002
"""Another client's command waits for one slice at most; with shorter slices the loop's overhead would be larger."""

PORTION: Final = 1000
"""Items of a loop over all sessions that looks at a value or two of each: some 1 ms."""

_Item = TypeVar("_Item")


async def portions(items: Iterable[_Item], size: int | None = None) -> AsyncIterator[list[_Item]]:
    """The items that there are now, in lists of `size` or else PORTION, each in a turn of the event loop of its own.

    Some may have ended when their turn comes.
    """
    snapshot = list(items)
    size = size or PORTION
    for start in range(0, len(snapshot), size):
        if start:
            await asyncio.sleep(0)
        yield snapshot[start : start + size]


class Turns(Generic[_Item]):
    """Calls `call` once with each item, in a later turn than that of its `add`. Belongs to one event loop.

    A slice is `slice_s` seconds and `most` calls, whichever ends first: a number is for calls whose work mostly follows
    in tasks of their own, where the time of the call says little. `turn_s` bounds those tasks: while turns of the loop
    take longer, with all that it does, each has one call less than the one before, and at least one; while they take
    less, one more, up to `most`. `pause` turns are left to everything else after each slice: a command of another
    client takes several, and would else wait for as many slices.
    """

    __slots__ = (
        "_allowed",
        "_call",
        "_is_scheduled",
        "_most",
        "_pause",
        "_ran_at",
        "_slice_end",
        "_slice_s",
        "_turn_s",
        "_used",
        "_waiting",
    )

    def __init__(
        self,
        call: Callable[[_Item], None],
        slice_s: float = SLICE_S,
        most: float = inf,
        pause: int = 0,
        turn_s: float = inf,
    ) -> None:
        self._call, self._slice_s, self._most, self._pause, self._turn_s = call, slice_s, most, pause, turn_s
        self._allowed = most
        """How many may continue in this turn of the loop."""
        self._ran_at: float | None = None
        """The thread's CPU time at the slice of the previous turn; None if no item was left waiting then."""
        self._used = 0
        """How many have continued in this turn of the loop."""
        self._waiting: dict[_Item, None] = {}
        """In the order of their calls."""
        self._is_scheduled = False
        self._slice_end: float | None = None
        """When the slice of this turn of the loop ends; None before it begins."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, one: _Item) -> None:
        """Append this item; if it is waiting already, it keeps its place."""
        self._waiting.setdefault(one)
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._run)

    def discard(self, one: _Item) -> None:
        """Remove this item, if it is waiting."""
        self._waiting.pop(one, None)

    def has_time(self) -> bool:
        """Whether the caller continues now: nothing waits, and the slice of this turn of the loop is not used up."""
        if self._waiting or perf_counter() >= self._end_of_slice() or self._used >= self._allowed:
            return False
        self._used += 1
        return True

    def _end_of_slice(self) -> float:
        if self._slice_end is None:
            self._slice_end = perf_counter() + self._slice_s
            asyncio.get_running_loop().call_soon(self._forget_slice)
        return self._slice_end

    def _forget_slice(self) -> None:
        self._slice_end = None
        self._used = 0

    def _run(self) -> None:
        end = self._end_of_slice()
        if self._turn_s < inf:
            self._adapt()
        while self._waiting and self._used < self._allowed:
            self._used += 1
            one = next(iter(self._waiting))
            del self._waiting[one]
            try:
                self._call(one)
            except Exception as error:  # an exception in one must not stop the others
                context = {"message": "continuing long work failed", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)
            if perf_counter() >= end:
                break
        self._is_scheduled = bool(self._waiting)
        if self._is_scheduled:
            self._rest(self._pause)
        else:
            self._ran_at = None

    def _adapt(self) -> None:
        now = thread_time()  # the CPU's: what the thread waits for a busy machine is not the work of these calls
        if self._ran_at is not None:
            is_long = now - self._ran_at > self._turn_s
            self._allowed = max(1, self._allowed - 1) if is_long else min(self._most, self._allowed + 1)
        self._ran_at = now

    def _rest(self, turns: int) -> None:
        loop = asyncio.get_running_loop()
        if turns:
            loop.call_soon(self._rest, turns - 1)
        else:
            loop.call_soon(self._run)
