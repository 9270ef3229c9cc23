"""The limits of `auth.attempts` over all processes: one small list a key in Redis, on Redis' clock, with a TTL."""

import asyncio
import logging
from pathlib import Path
from typing import Final
from zlib import crc32

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import RedisError

from auth.attempts import WINDOW_S, Limit, LocalLoginLimits, limits_on

TIMEOUT_S: Final = 0.5
_SCRIPT: Final = (Path(__file__).parent / "login_failures.lua").read_text()

log = logging.getLogger("auth")


class SharedLoginLimits:
    """Meets `LoginLimits`. While Redis is away the limits of this process alone decide.

    Each key is in one of the `redis`, which are in the same order in all processes. They belong to the caller, who
    closes them.
    """

    def __init__(self, *redis: Redis | RedisCluster) -> None:
        self._scripts = [client.register_script(_SCRIPT) for client in redis]
        self._local = LocalLoginLimits()
        self._away = False

    async def wait_s(self, account: str, address: str) -> float:
        """See `LoginLimits`."""
        wait_s = await self._ask(account, address, count=False)
        return await self._local.wait_s(account, address) if wait_s is None else wait_s

    async def fail(self, account: str, address: str) -> float:
        """See `LoginLimits`."""
        local_wait_s = await self._local.fail(account, address)  # ready to stand in at any moment
        wait_s = await self._ask(account, address, count=True)
        return local_wait_s if wait_s is None else wait_s

    async def _ask(self, account: str, address: str, *, count: bool) -> float | None:
        """Seconds to wait by Redis, for the first limit that says so; None if Redis does not answer."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                for limit in limits_on(account, address):
                    if wait_ms := await self._run(limit, count):
                        break
        except (RedisError, OSError, RuntimeError) as error:  # uvloop's for a transport that was reset meanwhile
            if not self._away:
                log.warning("login_limits_local", extra={"fields": {"error": type(error).__name__}})
            self._away = True
            return None
        self._away = False
        return wait_ms / 1000

    async def _run(self, limit: Limit, count: bool) -> int:
        # One key a script, so that a cluster may hold the two lists on different nodes.
        key = f"login-failures:{limit.key}"
        script = self._scripts[crc32(key.encode("utf-8", "surrogatepass")) % len(self._scripts)]
        answer = await script([key], [limit.most, int(WINDOW_S * 1000), int(count)])
        return int(answer)
