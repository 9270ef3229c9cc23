"""Publications across nodes, over a cluster: each channel at the master of its slot. Meets `ServerBroker`."""

import asyncio
from collections.abc import Callable, Iterable

from gateway.broker import BrokerListener
from gateway.redis.broker import ALL_NODES, chat_channel, node_channel
from gateway.redis.cluster import Cluster, Owners
from gateway.redis.cluster_map import slot_of
from gateway.redis.events import RedisEvents
from gateway.redis.link import Commands
from gateway.redis.server_broker import ServerBroker
from gateway.redis.subscription import PROBE_INTERVAL_S, SUBSCRIBE_S
from gateway.redis_urls import ClusterUrl
from gateway.tasks import Tasks


class ClusterBroker:
    """Knows what this node wants to hear; the masters' subscriptions know what they hear."""

    def __init__(self, node_id: str) -> None:
        self._channels: dict[int, set[bytes]] = {}
        """By slot."""
        for channel in (ALL_NODES, node_channel(node_id)):
            self._channels.setdefault(slot_of(channel), set()).add(channel)

    def over(self, cluster: Cluster) -> None:
        """The cluster, which tells `on_moved` here."""
        self._cluster = cluster

    def on_moved(self, slots: Iterable[int], before: Owners) -> None:
        """Subscribe these slots' channels at their masters of now."""
        for slot in slots:
            for channel in self._channels.get(slot, ()):
                if (old := before[slot]) is not None:
                    old.subscription.forget(channel)
                if (new := self._cluster.owners[slot]) is not None:
                    new.subscription.take_over(channel)

    @property
    def deaf(self) -> bool:
        """Whether a subscription of this node's is broken although the master beside it works."""
        return any(master.is_deaf for master in self._cluster.masters)

    @property
    def down(self) -> bool:
        """Whether any slot is not served."""
        return not self._cluster.is_up

    @property
    def unpublished(self) -> int:
        """How many publications wait for a master."""
        return sum(len(master.publisher) for master in self._cluster.masters)

    async def subscribe(self, chat_id: int) -> None:
        """See `Broker`."""
        channel = chat_channel(chat_id)
        slot = slot_of(channel)
        self._channels.setdefault(slot, set()).add(channel)
        owner = self._cluster.owners[slot]
        if owner is None:
            await asyncio.sleep(SUBSCRIBE_S)  # once the slot has a master, that asks for a position check
        else:
            await owner.subscription.subscribe(channel)

    def unsubscribe(self, chat_id: int) -> None:
        """See `Broker`."""
        channel = chat_channel(chat_id)
        slot = slot_of(channel)
        channels = self._channels.get(slot, set())
        channels.discard(channel)
        if not channels:
            self._channels.pop(slot, None)
        owner = self._cluster.owners[slot]
        if owner is not None:
            owner.subscription.unsubscribe(channel)

    def publish(self, chat_id: int, payload: bytes) -> None:
        """See `Broker`."""
        self._cluster.publish(chat_channel(chat_id), payload)

    def announce(self, payload: bytes) -> None:
        """See `Broker`."""
        self._cluster.publish(ALL_NODES, payload)

    def send(self, node_id: str, payload: bytes) -> None:
        """See `Broker`."""
        self._cluster.publish(node_channel(node_id), payload)

    async def flushed(self) -> None:
        """See `ServerBroker`."""
        await asyncio.gather(*(master.flushed() for master in self._cluster.masters), return_exceptions=True)


class ClusterServer:
    """A cluster and its broker. Meets `client.Server`."""

    def __init__(
        self,
        url: ClusterUrl,
        node_id: str,
        events: Callable[[int], RedisEvents],
        *,
        probe_interval_s: float = PROBE_INTERVAL_S,
    ) -> None:
        broker = ClusterBroker(node_id)
        self._cluster = Cluster(url, node_id, events, broker.on_moved, probe_interval_s=probe_interval_s)
        broker.over(self._cluster)
        self.link: Commands = self._cluster
        self.broker: ServerBroker = broker
        self._tasks = Tasks(events(0).task_failed)
        self._tasks.spawn(self._cluster.run(), "redis cluster map")

    def start(self, listener: BrokerListener, on_restored: Callable[[], None]) -> None:
        """See `Server`."""
        self._cluster.start(listener, on_restored)

    async def close(self) -> None:
        """See `Server`."""
        await self._tasks.close()
        await self._cluster.close()
