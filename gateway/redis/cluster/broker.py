"""Publications across nodes, over a cluster: each channel at the master of its slot. Implements `ServerBroker`."""

import asyncio
from collections.abc import Callable, Iterable

from gateway.config.redis_url import ClusterUrl
from gateway.interfaces.broker import BrokerListener
from gateway.redis.cluster.cluster import Cluster, Owners
from gateway.redis.cluster.slot_map import slot_of
from gateway.redis.connection.command_client import CommandExecutor
from gateway.redis.connection.events import RedisEvents
from gateway.redis.namespace import Namespace
from gateway.redis.pubsub.broker import ServerBroker
from gateway.redis.pubsub.subscriber import PROBE_INTERVAL_S, SUBSCRIBE_S
from gateway.tasks import Tasks


class ClusterBroker:
    """Holds the channels that this node needs; each master's subscription holds those it is subscribed to."""

    def __init__(self, names: Namespace, node_id: str) -> None:
        self._names = names
        self._channels: dict[int, set[bytes]] = {}
        """By slot."""
        for channel in (names.all_nodes, names.node_channel(node_id)):
            self._channels.setdefault(slot_of(channel), set()).add(channel)

    def over(self, cluster: Cluster) -> None:
        """Set the cluster, which calls `on_moved`."""
        self._cluster = cluster

    def on_moved(self, slots: Iterable[int], before: Owners) -> None:
        """Subscribe to the channels of these slots at their current masters."""
        for slot in slots:
            for channel in self._channels.get(slot, ()):
                if (old := before[slot]) is not None:
                    old.subscription.forget(channel)
                if (new := self._cluster.owners[slot]) is not None:
                    new.subscription.take_over(channel)

    @property
    def deaf(self) -> bool:
        """Whether a subscription is broken although commands to the same master work."""
        return any(master.is_deaf for master in self._cluster.masters)

    @property
    def down(self) -> bool:
        """Whether any slot is not served."""
        return not self._cluster.is_up

    @property
    def refusal(self) -> str:
        """Implement `Broker.refusal`."""
        return self._cluster.refusal

    @property
    def unpublished(self) -> int:
        """How many publications wait for a master."""
        return sum(len(master.publisher) for master in self._cluster.masters)

    async def subscribe(self, chat_id: int) -> None:
        """Implement `Broker.subscribe`."""
        channel = self._names.chat_channel(chat_id)
        slot = slot_of(channel)
        self._channels.setdefault(slot, set()).add(channel)
        owner = self._cluster.owners[slot]
        if owner is None:
            await asyncio.sleep(SUBSCRIBE_S)  # once the slot has a master, `on_moved` causes a position check
        else:
            await owner.subscription.subscribe(channel)

    def unsubscribe(self, chat_id: int) -> None:
        """Implement `Broker.unsubscribe`."""
        channel = self._names.chat_channel(chat_id)
        slot = slot_of(channel)
        channels = self._channels.get(slot, set())
        channels.discard(channel)
        if not channels:
            self._channels.pop(slot, None)
        owner = self._cluster.owners[slot]
        if owner is not None:
            owner.subscription.unsubscribe(channel)

    def publish(self, chat_id: int, payload: bytes) -> None:
        """Implement `Broker.publish`."""
        self._cluster.publish(self._names.chat_channel(chat_id), self._names.mark + payload)

    def announce(self, payload: bytes) -> None:
        """Implement `Broker.announce`."""
        self._cluster.publish(self._names.all_nodes, self._names.mark + payload)

    def send(self, node_id: str, payload: bytes) -> None:
        """Implement `Broker.send`."""
        self._cluster.publish(self._names.node_channel(node_id), self._names.mark + payload)

    async def flushed(self) -> None:
        """Implement `ServerBroker.flushed`."""
        await asyncio.gather(*(master.flushed() for master in self._cluster.masters), return_exceptions=True)


class ClusterServer:
    """A cluster and its broker. Implements `RedisServer`."""

    def __init__(
        self,
        url: ClusterUrl,
        names: Namespace,
        node_id: str,
        events: Callable[[int], RedisEvents],
        *,
        probe_interval_s: float = PROBE_INTERVAL_S,
    ) -> None:
        broker = ClusterBroker(names, node_id)
        self._cluster = Cluster(url, names, node_id, events, broker.on_moved, probe_interval_s=probe_interval_s)
        broker.over(self._cluster)
        self.link: CommandExecutor = self._cluster
        self.broker: ServerBroker = broker
        self._tasks = Tasks(events(0).task_failed)
        self._tasks.spawn(self._cluster.run(), "redis cluster map")

    def start(self, listener: BrokerListener, on_restored: Callable[[], None]) -> None:
        """Implement `RedisServer.start`."""
        self._cluster.start(listener, on_restored)

    async def close(self) -> None:
        """Implement `RedisServer.close`."""
        await self._tasks.close()
        await self._cluster.close()
