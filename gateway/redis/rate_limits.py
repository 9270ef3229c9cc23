"""Exact limits over all nodes: a ZSET a user, on Redis' clock (delivery.md 12). Meets `gateway.rate_limits.RateLimits`.

A token bucket would let twice the limit through in some minutes; this one never does. While Redis is away, each node
keeps a window of the same size for itself: a user gets at most the limit on each node, and nobody is locked out.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from gateway.errors import RedisUnavailable
from gateway.messages import RateLimited
from gateway.rate_limits import WINDOW_S, Admitted
from gateway.redis.link import Commands, Script

MAX_LOCAL_USERS = 100_000

_COUNT = Script("rate_limit")


class RedisRateLimits:
    """At most `limit` messages a user in any WINDOW_S; 0 is no limit."""

    def __init__(self, link: Commands, limit: int) -> None:
        self._link = link
        self._limit = limit
        self._local = LocalWindows(limit)

    async def admit(self, user_id: int, entry: str) -> Admitted | RateLimited:
        """Count a message, if there is room for it."""
        if self._limit == 0:
            return Admitted(is_new=False)
        try:
            answer: int = await self._link.run_script(
                _COUNT, _key(user_id), entry, self._limit, round(WINDOW_S * 1_000_000)
            )
        except RedisUnavailable:
            return self._local.admit(user_id, entry)
        return RateLimited(answer / 1_000_000) if answer > 0 else Admitted(is_new=answer == 0)

    def forget(self, user_id: int, entry: str) -> None:
        """A newly counted message was not stored after all."""
        self._link.send("ZREM", _key(user_id), entry)
        self._local.forget(user_id, entry)


class LocalWindows:
    """Sliding windows in this process alone; of more than MAX_LOCAL_USERS the longest idle are forgotten."""

    def __init__(self, limit: int, now: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._now = now
        self._users: OrderedDict[int, dict[str, float]] = OrderedDict()

    def admit(self, user_id: int, entry: str) -> Admitted | RateLimited:
        """Count a message, if there is room for it."""
        now = self._now()
        entries = {name: at for name, at in self._users.pop(user_id, {}).items() if at > now - WINDOW_S}
        self._users[user_id] = entries
        if len(self._users) > MAX_LOCAL_USERS:
            self._users.popitem(last=False)
        if entry in entries:
            return Admitted(is_new=False)
        if len(entries) >= self._limit:
            return RateLimited(min(entries.values()) + WINDOW_S - now)
        entries[entry] = now
        return Admitted(is_new=True)

    def forget(self, user_id: int, entry: str) -> None:
        """Give a place back."""
        self._users.get(user_id, {}).pop(entry, None)


def _key(user_id: int) -> str:
    return f"limit:{user_id}"
