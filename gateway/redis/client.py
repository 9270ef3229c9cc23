"""Opens the rooms that live in Redis, over one URL, and closes them in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from gateway.broker import BrokerListener
from gateway.errors import RedisUnavailable
from gateway.presence import PresenceListener
from gateway.redis.broker import RedisBroker
from gateway.redis.clients import RedisClients
from gateway.redis.events import RedisEvents
from gateway.redis.link import Link
from gateway.redis.presence import RedisPresence
from gateway.redis.rate_limits import RedisRateLimits
from gateway.redis.tickets import RedisTickets
from gateway.tasks import Tasks

FLUSH_S = 1.0
"""On closing: for what was published last."""

__all__ = ["RedisEvents", "RedisRooms", "open_redis"]


class RedisRooms:
    """The broker, presence, clients, limits and tickets of one node. They work only once `start` was called."""

    def __init__(self, url: str, node_id: str, messages_per_minute: int, events: RedisEvents) -> None:
        self.link = Link(url, events.answered)
        self.broker = RedisBroker(url, self.link, node_id, events)
        self.presence = RedisPresence(self.link, node_id, events)
        self.clients = RedisClients(self.link, node_id)
        self.limits = RedisRateLimits(self.link, messages_per_minute)
        self.tickets = RedisTickets(self.link)
        self.tasks = Tasks(events.task_failed)
        self.tasks.spawn(self.link.run(), "redis link")

    def start(self, broker_listener: BrokerListener, presence_listener: PresenceListener) -> None:
        """Tell the listeners what happens from now on."""
        self.tasks.spawn(self.broker.run(_Interruptible(broker_listener, self.presence)), "redis subscription")
        self.tasks.spawn(self.broker.probe(), "redis probe")
        self.tasks.spawn(self.broker.flush(), "redis publish queue")
        self.tasks.spawn(self.clients.keep(), "clients")
        self.tasks.spawn(self.presence.keep(), "presence lease")
        self.tasks.spawn(self.presence.settle(presence_listener), "presence upkeep")
        self.tasks.spawn(self.presence.sweep(presence_listener), "presence sweep")

    async def close(self) -> None:
        """Let what was handed over reach Redis, if it answers, and end."""
        with suppress(RedisUnavailable, TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await self.broker.flushed()
                await self.link.call("PING")  # its answer comes after those to all commands before
        await self.tasks.close()


class _Interruptible:
    """The listener, and presence told too when something may have been missed: a takeover, perhaps."""

    def __init__(self, listener: BrokerListener, presence: RedisPresence) -> None:
        self.on_publications = listener.on_publications
        self.on_announcements = listener.on_announcements
        self._listener = listener
        self._presence = presence

    def on_interrupted(self) -> None:
        self._listener.on_interrupted()
        self._presence.check_soon()


@asynccontextmanager
async def open_redis(
    url: str, node_id: str, *, messages_per_minute: int, events: RedisEvents
) -> AsyncIterator[RedisRooms]:
    """The rooms; Redis may be away, and is then waited for in the background."""
    rooms = RedisRooms(url, node_id, messages_per_minute, events)
    try:
        yield rooms
    finally:
        await rooms.close()
