"""Token buckets of this process: for limits of one node, and for those of all nodes while Redis is away."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

_TOLERANCE: Final = 1e-6
"""Of sums of fractions: a full bucket holds its whole size."""


class TokenBuckets:
    """Buckets by key: each holds its size, and an empty one is full again after `window_s`. A new one is full.

    Beyond `max_keys` those that were used least recently are full again.
    """

    def __init__(self, window_s: float, max_keys: int, now: Callable[[], float] = time.monotonic) -> None:
        self._window_s = window_s
        self._max_keys = max_keys
        self._now = now
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def left(self, key: Hashable, size: int) -> float:
        """What the bucket holds; below 0 if more was taken."""
        full_at = self._full_at.get(key)
        if full_at is None:
            return size
        self._full_at.move_to_end(key)
        return size - max(0.0, full_at - self._now()) * size / self._window_s

    def wait_s(self, key: Hashable, amount: int, size: int) -> float:
        """Seconds until the bucket holds so much; 0.0 if it does now."""
        missing = amount - self.left(key, size)
        return missing * self._window_s / size if missing > _TOLERANCE else 0.0

    def take(self, key: Hashable, amount: int, size: int) -> None:
        """Take so much; a negative amount is put back."""
        now = self._now()
        self._full_at[key] = max(now, self._full_at.pop(key, now)) + amount * self._window_s / size
        if len(self._full_at) > self._max_keys:
            self._full_at.popitem(last=False)
