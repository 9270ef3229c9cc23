"""Slows callers down that are refused, and call again before they were told to.

Such a caller waits a second for the response, on a connection that it cannot use meanwhile: so what a client sends that
pays no attention to `Retry-After` leaves the node its time for others. Keeps: MOST responses wait at most, EACH of one
caller; further ones are sent at once.
"""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final

from httpapi.errors import whole_seconds

HELD_S: Final = 1.0
MOST: Final = 500
EACH: Final = 20
MAX_CALLERS: Final = 20_000
"""Callers who were refused and are remembered until they may call again, some 4 MB; the first ones are forgotten."""


class SlowRefusals:
    """Those of one node; `on_slowed` is called for each response that waits."""

    def __init__(
        self,
        on_slowed: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_slowed = on_slowed
        self._now = now
        self._until: OrderedDict[str, float] = OrderedDict()
        self._held = Counter[str]()

    async def before(self, caller: str, retry_after_s: float) -> None:
        """Return at once, or in HELD_S if the time is not over that this caller was told the last time."""
        now = self._now()
        until = self._until.pop(caller, now)
        self._until[caller] = max(until, now + whole_seconds(retry_after_s))
        if len(self._until) > MAX_CALLERS:
            self._until.popitem(last=False)
        if until <= now or self._held.total() >= MOST or self._held[caller] >= EACH:
            return
        self._on_slowed()
        self._held[caller] += 1
        try:
            await asyncio.sleep(HELD_S)
        finally:
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]
