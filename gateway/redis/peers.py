"""Checks that all processes on this Redis have it at the same place of their REDIS_URL, and use the same store.

The place of a Redis in the list and the length of the list alone determine which chats, limits and logins belong to it.
If two processes disagree, messages reach the other only by the position check, and limits count twice. If two stores
share a REDIS_PREFIX, their presence and limits mix. Each process registers its place, length and store at every Redis;
addresses are not compared, because one Redis may have several.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from redis.exceptions import RedisError

from gateway.errors import RedisUnavailable
from gateway.redis.connection.command_client import Script
from gateway.redis.connection.connection import refusal_of

KEY: Final = "peers"
SCRIPT: Final = Script(Path(__file__).with_name("peers.lua"))
INTERVAL_S: Final = 5.0
TTL_MS: Final = 15_000
"""A process that did not register for this long has ended, or has another list."""
ASK_S: Final = 2.0
MAX_NAMED: Final = 5

logger = logging.getLogger("gateway.redis")


@dataclass(frozen=True, slots=True)
class Standing:
    """A process' view of a Redis: number `place` (from 1) of `count` in its list, with the data of the store."""

    place: int
    count: int
    store_id: str

    def __str__(self) -> str:
        return f"{self.place} {self.count} {self.store_id}"


class Peers:
    """`keep` is its owner task. `ask(name, standing, ttl in ms)` runs SCRIPT."""

    def __init__(
        self,
        name: str,
        standing: Standing,
        ask: Callable[[str, str, int], Awaitable[Sequence[bytes]]],
        *,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._name = name
        self._standing = standing
        self._ask = ask
        self._interval_s = interval_s
        self.refusal = ""
        """Why Redis rejected the password or rights at the last registration; empty if it did not."""
        self._differing: dict[str, str] = {}

    @property
    def differing(self) -> int:
        """The number of other processes that disagree."""
        return len(self._differing)

    def differences(self) -> Iterator[str]:
        """One sentence per process that disagrees, for at most MAX_NAMED."""
        return islice(self._differing.values(), MAX_NAMED)

    async def keep(self) -> None:
        """Register and compare periodically, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(ASK_S):
                    others = await self._ask(self._name, str(self._standing), TTL_MS)
            except (RedisUnavailable, RedisError, OSError, RuntimeError) as error:  # RuntimeError: uvloop, on a reset
                self._note_refusal(_text(error))
            else:
                self.refusal = ""
                self._compare({others[i].decode(): others[i + 1].decode() for i in range(0, len(others), 2)})
            await asyncio.sleep(self._interval_s * random.uniform(0.9, 1.0))  # noqa: S311 - spreads load

    def _note_refusal(self, error: str) -> None:
        """Log once, not at each attempt."""
        refusal = refusal_of(error)
        if refusal and refusal != self.refusal:
            fields = {"error": error, "place": self._standing.place}
            logger.error("redis_access_refused", extra={"fields": fields})
        self.refusal = refusal

    def _compare(self, others: dict[str, str]) -> None:
        before = self._differing
        self._differing = {name: text for name, peer in others.items() if (text := self._difference(name, peer))}
        for name, text in self._differing.items():
            if before.get(name) != text:
                logger.error("redis_peer_differs", extra={"fields": {"peer": name, "difference": text}})

    def _difference(self, name: str, peer: str) -> str:
        own = self._standing
        place, count, store_id = (*peer.split(" "), "", "", "")[:3]
        if store_id != own.store_id:
            return f"{name} uses the same REDIS_PREFIX for another store"
        if (place, count) != (str(own.place), str(own.count)):
            return f"REDIS_URL of {name} has as {place} of {count} what is {own.place} of {own.count} here"
        return ""


def _text(error: Exception) -> str:
    """The error as Redis sent it; redis-py removes the code from the text."""
    code = getattr(error, "status_code", None)
    return f"{code} {error}" if isinstance(code, str) else str(error)
