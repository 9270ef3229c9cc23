"""Turns of callers: of each only a few requests run at once, the others wait in the order of their arrival.

So what one caller sends at once takes only a part of what all share, such as connections to the database.
"""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from httpapi.errors import TooManyAtOnce


@dataclass(slots=True)
class _Caller:
    turns: asyncio.Semaphore
    requests: int = 0


class CallerTurns:
    """At most `at_once` requests of a caller run; at most `per_caller` of one caller and `total` of all run or wait."""

    def __init__(self, *, at_once: int, per_caller: int, total: int) -> None:
        self._at_once = at_once
        self._per_caller = per_caller
        self._total = total
        self._callers: dict[Hashable, _Caller] = {}
        self._requests = 0

    @asynccontextmanager
    async def turn(self, caller: Hashable) -> AsyncIterator[None]:
        """Wait for a turn of this caller, and hold it.

        Raises: TooManyAtOnce.
        """
        entry = self._callers.get(caller) or _Caller(asyncio.Semaphore(self._at_once))
        if entry.requests >= self._per_caller or self._requests >= self._total:
            raise TooManyAtOnce
        self._callers[caller] = entry
        entry.requests += 1
        self._requests += 1
        try:
            async with entry.turns:
                yield
        finally:
            entry.requests -= 1
            self._requests -= 1
            if not entry.requests:
                del self._callers[caller]
