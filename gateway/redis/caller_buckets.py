"""Token buckets over all nodes, for requests and handshakes: one hash per caller, on Redis' clock.

Implements `CallerBuckets`. A caller has at most twice a bucket's size in a minute, at a constant cost in memory. While
Redis does not respond, each node keeps buckets of the same size: a caller gets at most as much on each node, and no
caller is locked out.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from gateway.errors import RedisUnavailable
from gateway.interfaces.rate_limits import Exhausted, Take
from gateway.redis.connection.command_client import CommandExecutor, Script
from gateway.redis.known_refusals import KnownRefusals
from gateway.token_buckets import TokenBuckets

WINDOW_US: Final = 60_000_000
MAX_LOCAL_BUCKETS: Final = 100_000
"""Local buckets that are kept, some 20 MB, a few of a caller; beyond, those used least recently are full again."""

ANSWER_S: Final = 0.25
"""A caller waits this long for Redis; then the buckets of its node apply."""

_TAKE: Final = Script(Path(__file__).with_name("caller_buckets.lua"))


class RedisBuckets:
    """The buckets of one Redis."""

    def __init__(self, link: CommandExecutor) -> None:
        self._link = link
        self._local = LocalBuckets()
        self._refusals = KnownRefusals()

    def known_refusal(self, caller: str, takes: Sequence[Take]) -> Exhausted | None:
        """Implement `CallerBuckets.known_refusal`."""
        return self._refusals.find(caller, takes)

    async def take(self, caller: str, takes: Sequence[Take]) -> Exhausted | None:
        """Implement `CallerBuckets.take`."""
        known = self._refusals.find(caller, takes)
        if known is not None:
            return known
        words = [word for take in takes for word in (take.bucket, take.amount, _refill_us(take))]
        try:
            async with asyncio.timeout(ANSWER_S):
                place, wait_us = await self._link.run_script(_TAKE, f"calls:{caller}", WINDOW_US, *words)
        except (RedisUnavailable, TimeoutError):
            return self._local.take(caller, takes)
        if not place:
            return None
        exhausted = Exhausted(takes[place - 1].bucket, wait_us / 1_000_000)
        self._refusals.note(caller, takes, exhausted)
        return exhausted


class LocalBuckets:
    """Buckets of this process."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._buckets = TokenBuckets(WINDOW_US / 1_000_000, MAX_LOCAL_BUCKETS, now)

    def take(self, caller: str, takes: Sequence[Take]) -> Exhausted | None:
        """Take from all of the buckets or from none; None if they held enough."""
        waits = [
            (self._buckets.wait_s((caller, take.bucket), take.amount, take.per_minute), take.bucket) for take in takes
        ]
        wait_s, bucket = max(waits)
        if wait_s > 0:
            return Exhausted(bucket, wait_s)
        for take in takes:
            self._buckets.take((caller, take.bucket), take.amount, take.per_minute)
        return None


def _refill_us(take: Take) -> int:
    """The time in which one refills, rounded down, so that a full bucket holds its whole size."""
    return WINDOW_US // take.per_minute
