"""Sliding-window counters: how often something happened under a key in the last seconds.

`LocalCounters` counts in one process, `auth.accounts.redis_counters` over all of them.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

MINUTE_S: Final = 60.0
MAX_KEYS: Final = 20_000
"""Keys of the local counters, at most some 20 MB. The least recently counted are forgotten first."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` counts under `key` in any `window_s`. The key has a bounded size and contains no login."""

    key: str
    most: int
    window_s: float = MINUTE_S


class Counters(Protocol):
    """Never raises, and returns within about half a second."""

    async def wait_s(self, limit: Limit) -> float:
        """Seconds until the limit allows one more; 0.0 if it does now. Counts nothing."""
        ...

    async def count(self, limit: Limit) -> float:
        """The same, and counts one if it is 0.0: of concurrent calls, no more than the limit return 0.0."""
        ...


class LocalCounters:
    """The counters of one process, in bounded memory."""

    def __init__(self, now: Callable[[], float] = time.monotonic, max_keys: int = MAX_KEYS) -> None:
        self._now = now
        self._max_keys = max_keys
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        """The last `most` times of each key."""

    async def wait_s(self, limit: Limit) -> float:
        """See `Counters`."""
        return self._wait_s(limit)

    async def count(self, limit: Limit) -> float:
        """See `Counters`."""
        wait_s = self._wait_s(limit)
        if not wait_s:
            times = self._times.setdefault(limit.key, deque(maxlen=limit.most))
            times.append(self._now())
            self._times.move_to_end(limit.key)
            if len(self._times) > self._max_keys:
                self._times.popitem(last=False)
        return wait_s

    def _wait_s(self, limit: Limit) -> float:
        times = self._times.get(limit.key)
        if times is None or len(times) < limit.most:
            return 0.0
        return max(0.0, times[0] + limit.window_s - self._now())
