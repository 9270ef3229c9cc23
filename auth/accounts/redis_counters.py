"""Counters over all processes: one short list a key in Redis, on Redis' clock, with a TTL."""

import asyncio
import logging
from pathlib import Path
from typing import Final
from zlib import crc32

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import RedisError

from auth.accounts.counters import Limit, LocalCounters

TIMEOUT_S: Final = 0.5
_SCRIPT: Final = (Path(__file__).parent / "counter.lua").read_text()

log = logging.getLogger("auth")


class RedisCounters:
    """Implements `Counters`. While Redis is unavailable, the counters of this process alone decide.

    Each key begins with `prefix` and is in one of the `redis`, which are in the same order in all processes. They
    belong to the caller, who closes them.
    """

    def __init__(self, *redis: Redis | RedisCluster, prefix: str) -> None:
        self._prefix = prefix
        self._scripts = [client.register_script(_SCRIPT) for client in redis]
        self._local = LocalCounters()
        self._is_away = False

    async def wait_s(self, limit: Limit) -> float:
        """See `Counters`."""
        wait_s = await self._run(limit, is_counted=False)
        return await self._local.wait_s(limit) if wait_s is None else wait_s

    async def count(self, limit: Limit) -> float:
        """See `Counters`."""
        local_wait_s = await self._local.count(limit)  # so that an outage starts with what was counted before it
        wait_s = await self._run(limit, is_counted=True)
        return local_wait_s if wait_s is None else wait_s

    async def _run(self, limit: Limit, *, is_counted: bool) -> float | None:
        """Seconds to wait by Redis; None if it does not answer."""
        key = f"count:{limit.key}"
        script = self._scripts[crc32(key.encode("utf-8", "surrogatepass")) % len(self._scripts)]
        try:
            async with asyncio.timeout(TIMEOUT_S):
                wait_ms = await script([self._prefix + key], [limit.most, int(limit.window_s * 1000), int(is_counted)])
        except (RedisError, OSError, RuntimeError) as error:  # uvloop's for a transport that was reset meanwhile
            if not self._is_away:
                log.warning("login_limits_local", extra={"fields": {"error": type(error).__name__}})
            self._is_away = True
            return None
        self._is_away = False
        return int(wait_ms) / 1000
