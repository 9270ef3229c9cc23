"""What a user or an address stores in an hour, over all nodes: buckets on Redis' clock. Implements `ByteQuotas`.

While Redis is unavailable, each node has buckets of its own of the same size.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.errors import RedisUnavailable
from gateway.interfaces.rate_limits import QUOTA_WINDOW_S, RateLimited
from gateway.redis.connection.command_client import CommandExecutor, Script
from gateway.token_buckets import TokenBuckets

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
    """The buckets of this process."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._buckets = TokenBuckets(QUOTA_WINDOW_S, MAX_LOCAL_KEYS, now)

    def take(self, key: str, fewest: int, most: int, size: int) -> int | RateLimited:
        """Take at least `fewest` and at most `most` bytes."""
        if (wait_s := self._buckets.wait_s(key, fewest, size)) > 0:
            return RateLimited(wait_s)
        taken = min(most, int(self._buckets.left(key, size)))
        self._buckets.take(key, taken, size)
        return taken
