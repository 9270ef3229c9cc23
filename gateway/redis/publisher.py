"""What is published at one server: at once, or, while it is away, as soon as it is back."""

import asyncio
from collections import deque
from typing import Protocol

from gateway.redis.events import RedisEvents

MAX_UNPUBLISHED = 10_000
RETRY_S = 0.05
STALE_S = 5.0
"""Publications that wait longer than this for Redis are not worth sending: the position check delivers events."""


class Sender(Protocol):
    """The command link, as far as it is needed here."""

    connected: asyncio.Event
    """Set while commands can be sent."""

    def send(self, *words: str | bytes | int) -> bool:
        """Send a command whose answer nobody needs; False if there is no connection. Never blocks."""
        ...


class Publisher:
    """Keeps the order of what is published. `flush` is its owner task."""

    def __init__(self, link: Sender, events: RedisEvents, verb: str) -> None:
        self._link = link
        self._events = events
        self._verb = verb
        self._waiting: deque[tuple[float, bytes, bytes]] = deque(maxlen=MAX_UNPUBLISHED)
        self._has_waiting = asyncio.Event()
        self._has_flushed = asyncio.Event()

    def __len__(self) -> int:
        """How many publications wait for Redis."""
        return len(self._waiting)

    def publish(self, channel: bytes, payload: bytes) -> None:
        """Send in order with all else of this turn; while Redis is away, keep the newest for a short while."""
        if not self._waiting and self._link.send(self._verb, channel, payload):
            return
        if len(self._waiting) == MAX_UNPUBLISHED:
            self._events.happened("publish_dropped")
        self._waiting.append((asyncio.get_running_loop().time(), channel, payload))
        self._has_waiting.set()

    async def flush(self) -> None:
        """Send, for ever, what waited for Redis, as soon as it is back."""
        while True:
            await self._has_waiting.wait()
            await self._link.connected.wait()
            while self._waiting:
                queued_at, channel, payload = self._waiting[0]
                if asyncio.get_running_loop().time() - queued_at > STALE_S:
                    self._events.happened("publish_dropped")
                elif not self._link.send(self._verb, channel, payload):
                    await asyncio.sleep(RETRY_S)  # the link is full, or gone again
                    break
                self._waiting.popleft()
            else:
                self._has_waiting.clear()
                self._has_flushed.set()

    async def flushed(self) -> None:
        """Return once nothing waits for Redis to be back."""
        while self._waiting:
            self._has_flushed.clear()
            await self._has_flushed.wait()

    def take_all(self) -> list[tuple[bytes, bytes]]:
        """What waits, which is from now on the caller's: the server is gone for good."""
        taken = [(channel, payload) for _, channel, payload in self._waiting]
        self._waiting.clear()
        return taken
