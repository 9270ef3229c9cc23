"""What a user or an address stores in an hour, over all nodes: buckets on Redis' clock. Implements `ByteQuotas`.

While Redis is unavailable, each node has buckets of its own of the same size.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.errors import RedisUnavailable
from gateway.interfaces.rate_limits import QUOTA_WINDOW_S, RateLimited
from gateway.redis.connection.command_client import CommandExecutor, Script

MAX_LOCAL_KEYS: Final = 20_000
_TAKE: Final = Script(Path(__file__).with_name("byte_quota.lua"))


class RedisByteQuotas:
    """Buckets in one Redis, by key; every key expires when its bucket is full."""

    def __init__(self, link: CommandExecutor) -> None:
        self._link = link
        self._local = LocalByteBuckets()

    async def take(self, key: str, fewest: int, most: int, size: int) -> int | RateLimited:
        """Implement `ByteQuotas.take`."""
        try:
            answer: int = await self._link.run_script(
                _TAKE, f"quota:{key}", fewest, most, size, round(QUOTA_WINDOW_S * 1_000_000)
            )
        except RedisUnavailable:
            return self._local.take(key, fewest, most, size)
        return answer if answer >= 0 or fewest < 0 else RateLimited(-answer / 1_000_000)

    async def give_back(self, key: str, unused: int, size: int) -> None:
        """Implement `ByteQuotas.give_back`."""
        await self.take(key, -unused, -unused, size)


class LocalByteBuckets:
    """The buckets of this process; beyond MAX_LOCAL_KEYS those that have waited longest are full again."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str, fewest: int, most: int, size: int) -> int | RateLimited:
        """Take at least `fewest` and at most `most` bytes."""
        now, interval_s = self._now(), QUOTA_WINDOW_S / size
        full_at = max(now, self._full_at.pop(key, now))
        left = int((now + QUOTA_WINDOW_S - full_at) / interval_s)
        taken = min(most, left) if left >= fewest else 0
        self._full_at[key] = full_at + taken * interval_s
        if len(self._full_at) > MAX_LOCAL_KEYS:
            self._full_at.popitem(last=False)
        return taken if left >= fewest else RateLimited((fewest - left) * interval_s)
