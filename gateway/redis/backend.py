"""Opens the Redis adapters in the layout of the URL (one server, cluster, shards), and closes them in order."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from gateway.config.redis_url import ClusterUrl, split
from gateway.errors import RedisUnavailable
from gateway.interfaces.broker import BrokerListener
from gateway.interfaces.presence import PresenceListener
from gateway.redis.byte_quotas import RedisByteQuotas
from gateway.redis.caller_buckets import RedisBuckets
from gateway.redis.client_registry import RedisClients
from gateway.redis.cluster.broker import ClusterServer
from gateway.redis.connection.command_client import CommandClient, CommandExecutor
from gateway.redis.connection.events import RedisEvents
from gateway.redis.connection.prefixed import Prefixed
from gateway.redis.namespace import Namespace
from gateway.redis.peers import KEY, SCRIPT, Peers, Standing
from gateway.redis.presence.presence import RedisPresence
from gateway.redis.pubsub.broker import RedisBroker, ServerBroker
from gateway.redis.pubsub.subscriber import PLAIN
from gateway.redis.rate_limits import RedisRateLimits
from gateway.redis.replicas import RedisReplicas
from gateway.redis.rights import check, needed
from gateway.redis.sharded import ShardedBackend
from gateway.redis.tickets import RedisTickets
from gateway.tasks import Tasks

FLUSH_S = 1.0
"""How long closing waits for the last publications to be sent."""

__all__ = ["Backend", "RedisBackend", "RedisEvents", "ShardedBackend", "open_redis"]


class RedisServer(Protocol):
    """One Redis server or one cluster. It connects, and reconnects until it is closed, in its own tasks."""

    link: CommandExecutor
    broker: ServerBroker

    def start(self, listener: BrokerListener, on_restored: Callable[[], None]) -> None:
        """Start notifying `listener`; call `on_restored` when keys may have been lost although the lease was not."""
        ...

    async def close(self) -> None:
        """Cancel its tasks."""
        ...


class OneServer:
    """One Redis. Implements `RedisServer`."""

    def __init__(self, url: str, names: Namespace, node_id: str, events: RedisEvents) -> None:
        commands = needed(names, PLAIN.publish)
        self._link = CommandClient(url, events.answered, check=lambda stream: check(stream, commands))
        self._broker = RedisBroker(url, self._link, names, node_id, events)
        self.link: CommandExecutor = self._link
        self.broker: ServerBroker = self._broker
        self._tasks = Tasks(events.task_failed)
        self._tasks.spawn(self._link.run(), "redis link")

    def start(self, listener: BrokerListener, on_restored: Callable[[], None]) -> None:
        """Start notifying `listener`. `on_restored` is unused: one server loses keys only together with the lease."""
        self._tasks.spawn(self._broker.run(listener), "redis subscription")
        self._tasks.spawn(self._broker.probe(), "redis probe")
        self._tasks.spawn(self._broker.flush(), "redis publish queue")

    async def close(self) -> None:
        """Implement `RedisServer.close`."""
        await self._tasks.close()


class RedisBackend:
    """The broker, presence, clients, limits and tickets of one node. Call `start` before using them."""

    def __init__(
        self,
        server: RedisServer,
        names: Namespace,
        node_id: str,
        messages_per_minute: int,
        strangers_per_minute: int,
        edits_per_minute: int,
        reactions_per_minute: int,
        events: RedisEvents,
        standing: Standing,
    ) -> None:
        self._server = server
        self.broker = server.broker
        link = Prefixed(server.link, names.prefix)
        self.presence = RedisPresence(link, node_id, events)
        self.clients = RedisClients(link, node_id)
        self.limits = RedisRateLimits(link, messages_per_minute)
        self.stranger_limits = RedisRateLimits(link, strangers_per_minute, "strangers")
        self.caller_buckets = RedisBuckets(link)
        self.edit_limits = RedisRateLimits(link, edits_per_minute, "edits")
        self.reaction_limits = RedisRateLimits(link, reactions_per_minute, "reactions")
        self.byte_quotas = RedisByteQuotas(link)
        self.tickets = RedisTickets(link)
        self.replicas = RedisReplicas(link)
        self.peers = Peers(node_id, standing, lambda *words: link.run_script(SCRIPT, KEY, *words))
        self._tasks = Tasks(events.task_failed)

    def start(self, broker_listener: BrokerListener, presence_listener: PresenceListener) -> None:
        """Start the background tasks, which notify the listeners."""
        self._server.start(_Interruptible(broker_listener, self.presence), self.presence.assert_all_soon)
        self._tasks.spawn(self.clients.keep(), "clients")
        self._tasks.spawn(self.peers.keep(), "peers")
        self._tasks.spawn(self.presence.keep(), "presence lease")
        self._tasks.spawn(self.presence.settle(presence_listener), "presence upkeep")
        self._tasks.spawn(self.presence.sweep(presence_listener), "presence sweep")

    @property
    def differing(self) -> int:
        """The number of other processes with a different REDIS_URL or REDIS_PREFIX."""
        return self.peers.differing

    def differences(self) -> list[str]:
        """One sentence per such process, up to a limit."""
        return list(self.peers.differences())

    async def close(self) -> None:
        """Send the pending publications, if Redis answers within FLUSH_S, and end."""
        with suppress(TimeoutError, RedisUnavailable):
            async with asyncio.timeout(FLUSH_S):
                await self.broker.flushed()
        await self._tasks.close()
        await self._server.close()


Backend = RedisBackend | ShardedBackend


class _Interruptible:
    """A listener that also notifies presence of an interruption, because a takeover may have been missed."""

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
    url: str,
    names: Namespace,
    node_id: str,
    *,
    messages_per_minute: int,
    strangers_per_minute: int = 0,
    edits_per_minute: int = 0,
    reactions_per_minute: int = 0,
    events: Callable[[int], RedisEvents],
) -> AsyncIterator[Backend]:
    """The adapters over each Redis that `url` lists; any of them may be unavailable, and is then reconnected to.

    `events(shard)` returns the callbacks for the Redis with this index in the list.
    """

    urls = split(url)

    def over(url: str, shard: int) -> RedisBackend:
        cluster = ClusterUrl.parse(url)
        server: RedisServer
        if cluster is None:
            server = OneServer(url, names, node_id, events(shard))
        else:
            server = ClusterServer(cluster, names, node_id, events)
        standing = Standing(shard + 1, len(urls), names.store_id)
        limits = messages_per_minute, strangers_per_minute, edits_per_minute, reactions_per_minute
        return RedisBackend(server, names, node_id, *limits, events(shard), standing)

    shards = [over(one, shard) for shard, one in enumerate(urls)]
    rooms: Backend = shards[0] if len(shards) == 1 else ShardedBackend(shards, node_id)
    try:
        yield rooms
    finally:
        await rooms.close()
