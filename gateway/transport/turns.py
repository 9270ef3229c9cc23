"""A queue of sockets with unhandled input, which continue in later turns of the event loop, one after the other.

Keeps: however many they are, all of them together take at most SLICE_S of a turn plus the excess of one call; then
everything else is served. The one that has waited longest is next. A socket that continues without waiting, since no
other waits (`has_time`), takes from the same slice.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Final, Generic, TypeVar

SLICE_S: Final = 0.002
"""Another client's command waits for one slice at most; with shorter slices the loop's overhead would be larger."""

_One = TypeVar("_One")


class Turns(Generic[_One]):
    """Calls `call` once with each item, in a later turn than that of its `add`. Belongs to one event loop."""

    __slots__ = ("_call", "_is_scheduled", "_slice_end", "_waiting")

    def __init__(self, call: Callable[[_One], None]) -> None:
        self._call = call
        self._waiting: dict[_One, None] = {}
        """In the order of their calls."""
        self._is_scheduled = False
        self._slice_end: float | None = None
        """When the slice of this turn of the loop ends; None if nobody has begun it."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, one: _One) -> None:
        """Append this item; if it is waiting already, it keeps its place."""
        self._waiting.setdefault(one)
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._run)

    def discard(self, one: _One) -> None:
        """Remove this item, if it is waiting."""
        self._waiting.pop(one, None)

    def has_time(self) -> bool:
        """Whether the caller may continue now: nobody waits, and the slice of this turn of the loop is not used up."""
        return not self._waiting and perf_counter() < self._end_of_slice()

    def _end_of_slice(self) -> float:
        if self._slice_end is None:
            self._slice_end = perf_counter() + SLICE_S
            asyncio.get_running_loop().call_soon(self._forget_slice)
        return self._slice_end

    def _forget_slice(self) -> None:
        self._slice_end = None

    def _run(self) -> None:
        end = self._end_of_slice()
        while self._waiting:
            one = next(iter(self._waiting))
            del self._waiting[one]
            try:
                self._call(one)
            except Exception as error:  # an exception for one socket must not stop the others
                context = {"message": "continuing a socket's input failed", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)
            if perf_counter() >= end:
                break
        self._is_scheduled = bool(self._waiting)
        if self._is_scheduled:
            asyncio.get_running_loop().call_soon(self._run)
