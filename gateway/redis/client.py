"""Opens the rooms that live in Redis, in whichever layout the URL says, and closes them in order."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from gateway.broker import BrokerListener
from gateway.errors import RedisUnavailable
from gateway.presence import PresenceListener
from gateway.redis.broker import RedisBroker
from gateway.redis.clients import RedisClients
from gateway.redis.cluster_broker import ClusterServer
from gateway.redis.events import RedisEvents
from gateway.redis.link import Commands, Link
from gateway.redis.presence import RedisPresence
from gateway.redis.rate_limits import RedisRateLimits
from gateway.redis.server_broker import ServerBroker
from gateway.redis.sharded import ShardedRooms
from gateway.redis.tickets import RedisTickets
from gateway.redis_urls import ClusterUrl, split
from gateway.tasks import Tasks

FLUSH_S = 1.0
"""On closing: for what was published last."""

__all__ = ["RedisEvents", "RedisRooms", "Rooms", "ShardedRooms", "open_redis"]


class Server(Protocol):
    """What the rooms stand on: one Redis, or one cluster. It connects by itself, for ever."""

    link: Commands
    broker: ServerBroker

    def start(self, listener: BrokerListener, on_restored: Callable[[], None]) -> None:
        """Tell the listener what happens from now on; `on_restored`, that keys may have been lost but not the lease."""
        ...

    async def close(self) -> None:
        """End its tasks."""
        ...


class OneServer:
    """One Redis. Meets `Server`."""

    def __init__(self, url: str, node_id: str, events: RedisEvents) -> None:
        self._link = Link(url, events.answered)
        self._broker = RedisBroker(url, self._link, node_id, events)
        self.link: Commands = self._link
        self.broker: ServerBroker = self._broker
        self._tasks = Tasks(events.task_failed)
        self._tasks.spawn(self._link.run(), "redis link")

    def start(self, listener: BrokerListener, on_restored: Callable[[], None]) -> None:
        """See `Server`. Here the keys are lost with the lease, or not at all."""
        self._tasks.spawn(self._broker.run(listener), "redis subscription")
        self._tasks.spawn(self._broker.probe(), "redis probe")
        self._tasks.spawn(self._broker.flush(), "redis publish queue")

    async def close(self) -> None:
        """See `Server`."""
        await self._tasks.close()


class RedisRooms:
    """The broker, presence, clients, limits and tickets of one node. They work only once `start` was called."""

    def __init__(self, server: Server, node_id: str, messages_per_minute: int, events: RedisEvents) -> None:
        self._server = server
        self.broker = server.broker
        self.presence = RedisPresence(server.link, node_id, events)
        self.clients = RedisClients(server.link, node_id)
        self.limits = RedisRateLimits(server.link, messages_per_minute)
        self.tickets = RedisTickets(server.link)
        self._tasks = Tasks(events.task_failed)

    def start(self, broker_listener: BrokerListener, presence_listener: PresenceListener) -> None:
        """Tell the listeners what happens from now on."""
        self._server.start(_Interruptible(broker_listener, self.presence), self.presence.assert_all_soon)
        self._tasks.spawn(self.clients.keep(), "clients")
        self._tasks.spawn(self.presence.keep(), "presence lease")
        self._tasks.spawn(self.presence.settle(presence_listener), "presence upkeep")
        self._tasks.spawn(self.presence.sweep(presence_listener), "presence sweep")

    async def close(self) -> None:
        """Let what was handed over reach Redis, if it answers, and end."""
        with suppress(TimeoutError, RedisUnavailable):
            async with asyncio.timeout(FLUSH_S):
                await self.broker.flushed()
        await self._tasks.close()
        await self._server.close()


Rooms = RedisRooms | ShardedRooms


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
    url: str, node_id: str, *, messages_per_minute: int, events: Callable[[int], RedisEvents]
) -> AsyncIterator[Rooms]:
    """The rooms over the Redis of the URL, or over as many as it lists; any may be away, and is then waited for.

    `events(shard)` hears of each of them, by its place in the list.
    """

    def over(url: str, shard: int) -> RedisRooms:
        cluster = ClusterUrl.parse(url)
        server = OneServer(url, node_id, events(shard)) if cluster is None else ClusterServer(cluster, node_id, events)
        return RedisRooms(server, node_id, messages_per_minute, events(shard))

    shards = [over(one, shard) for shard, one in enumerate(split(url))]
    rooms: Rooms = shards[0] if len(shards) == 1 else ShardedRooms(shards, node_id)
    try:
        yield rooms
    finally:
        await rooms.close()
