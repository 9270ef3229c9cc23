"""Exact rate limits over all nodes: one ZSET per user, on Redis' clock (delivery.md 12). Implements `RateLimits`.

A token bucket would admit twice the limit in some minutes; this window never does. While Redis is unavailable, each
node keeps a local window of the same size: a user gets at most the limit on each node, and no user is locked out.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path

from msgspec import Struct

from gateway.errors import RedisUnavailable
from gateway.interfaces.rate_limits import WINDOW_S, Admitted, OnAdmission, RateLimited
from gateway.redis.connection.command_client import CommandExecutor, Script
from gateway.tasks import settle

MAX_LOCAL_USERS = 100_000

_WINDOW_US = round(WINDOW_S * 1_000_000)
_COUNTED, _NOT_COUNTED = Admitted(is_new=True), Admitted(is_new=False)
_COUNT = Script(Path(__file__).with_name("rate_limit.lua"))


class RedisRateLimits:
    """Admits at most `limit` entries per user in any WINDOW_S; 0 means no limit. `name` begins the keys."""

    def __init__(self, link: CommandExecutor, limit: int, name: str = "limit") -> None:
        self._link = link
        self._limit = limit
        self._name = name
        self._local = LocalWindows(limit)

    def decide(self, user_id: int, entry: str, on_admission: OnAdmission) -> None:
        """Implement `RateLimits.decide`."""
        if self._limit == 0:
            on_admission(_NOT_COUNTED)
            return

        call = _Counting(self._local, user_id, entry, on_admission)
        self._link.start_script(_COUNT, call, self._key(user_id), entry, self._limit, _WINDOW_US)

    async def admit(self, user_id: int, entry: str) -> Admitted | RateLimited:
        """Implement `RateLimits.admit`."""
        decision: asyncio.Future[Admitted | RateLimited] = asyncio.get_running_loop().create_future()
        self.decide(user_id, entry, partial(settle, decision))
        return await decision

    def forget(self, user_id: int, entry: str) -> None:
        """Stop counting a message that was not stored."""
        self._link.send("ZREM", self._key(user_id), entry)
        self._local.forget(user_id, entry)

    def _key(self, user_id: int) -> str:
        return f"{self._name}:{user_id}"


class _Counting(Struct, frozen=True, gc=False, eq=False):
    """Receives what Redis says of an entry. In the place of a closure, whose cells the garbage collector looks at."""

    local: "LocalWindows"
    user_id: int
    entry: str
    on_admission: OnAdmission

    def __call__(self, answer: int | RedisUnavailable) -> None:
        if isinstance(answer, RedisUnavailable):
            self.on_admission(self.local.admit(self.user_id, self.entry))
        elif answer == 0:
            self.on_admission(_COUNTED)
        else:
            self.on_admission(RateLimited(answer / 1_000_000) if answer > 0 else _NOT_COUNTED)


class LocalWindows:
    """Sliding windows of this process; beyond MAX_LOCAL_USERS the users idle for longest are dropped."""

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
        """Stop counting a message."""
        self._users.get(user_id, {}).pop(entry, None)
