"""Publications across nodes, over one server. Implements `gateway.interfaces.broker.Broker`."""

import asyncio
from collections import deque
from typing import Protocol

from gateway.interfaces.broker import Broker, BrokerListener
from gateway.redis.connection.command_client import CommandClient
from gateway.redis.connection.events import RedisEvents
from gateway.redis.namespace import Namespace
from gateway.redis.pubsub.subscriber import PLAIN, PROBE_INTERVAL_S, Sender, Subscriber

MAX_UNPUBLISHED = 10_000
RETRY_S = 0.05
STALE_S = 5.0
"""Publications that wait longer than this for Redis are not worth sending: the position check delivers events."""


class ServerBroker(Broker, Protocol):
    """A broker with a queue of its own."""

    @property
    def unpublished(self) -> int:
        """How many publications wait for Redis."""
        ...

    async def flushed(self) -> None:
        """Return once Redis has all that was published.

        Raises: RedisUnavailable.
        """
        ...


class Publisher:
    """Publishes in order. `flush` is its owner task."""

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
        """Send with this iteration's other commands; while Redis is unavailable, queue the newest for STALE_S."""
        if not self._waiting and self._link.send(self._verb, channel, payload):
            return
        if len(self._waiting) == MAX_UNPUBLISHED:
            self._events.happened("publish_dropped")
        self._waiting.append((asyncio.get_running_loop().time(), channel, payload))
        self._has_waiting.set()

    async def flush(self) -> None:
        """Send queued publications whenever Redis is available, until cancelled."""
        while True:
            await self._has_waiting.wait()
            await self._link.connected.wait()
            while self._waiting:
                queued_at, channel, payload = self._waiting[0]
                if asyncio.get_running_loop().time() - queued_at > STALE_S:
                    self._events.happened("publish_dropped")
                elif not self._link.send(self._verb, channel, payload):
                    await asyncio.sleep(RETRY_S)  # too many commands are pending, or the connection was lost again
                    break
                self._waiting.popleft()
            else:
                self._has_waiting.clear()
                self._has_flushed.set()

    async def flushed(self) -> None:
        """Return once the queue is empty."""
        while self._waiting:
            self._has_flushed.clear()
            await self._has_flushed.wait()

    def take_all(self) -> list[tuple[bytes, bytes]]:
        """Remove and return the queued publications of a server that is gone for good."""
        taken = [(channel, payload) for _, channel, payload in self._waiting]
        self._waiting.clear()
        return taken


class RedisBroker:
    """Implements `Broker`, which describes the channels. `run`, `probe` and `flush` are its owner tasks."""

    def __init__(
        self,
        url: str,
        link: CommandClient,
        names: Namespace,
        node_id: str,
        events: RedisEvents,
        *,
        probe_interval_s: float = PROBE_INTERVAL_S,
    ) -> None:
        own = names.node_channel(node_id)
        self._names = names
        self._link = link
        self._publisher = Publisher(link, events, PLAIN.publish)
        self._publish = self._publisher.publish
        self._subscription = Subscriber(
            url,
            link,
            names,
            events,
            channels=[names.all_nodes],
            probe_channel=own,
            probe_interval_s=probe_interval_s,
        )

    @property
    def deaf(self) -> bool:
        """Whether this node's subscription is broken although commands work."""
        return not self._subscription.is_whole and self._link.is_up

    @property
    def down(self) -> bool:
        """Whether commands cannot be sent either."""
        return not self._link.is_up

    @property
    def refusal(self) -> str:
        """Implement `Broker.refusal`."""
        return self._link.refusal or self._subscription.refusal

    @property
    def unpublished(self) -> int:
        """How many publications wait for Redis."""
        return len(self._publisher)

    async def subscribe(self, chat_id: int) -> None:
        """Implement `Broker.subscribe`."""
        await self._subscription.subscribe(self._names.chat_channel(chat_id))

    def unsubscribe(self, chat_id: int) -> None:
        """Implement `Broker.unsubscribe`."""
        self._subscription.unsubscribe(self._names.chat_channel(chat_id))

    def publish(self, chat_id: int, payload: bytes) -> None:
        """Implement `Broker.publish`."""
        self._publish(self._names.chat_channel(chat_id), self._names.mark + payload)

    def announce(self, payload: bytes) -> None:
        """Implement `Broker.announce`."""
        self._publish(self._names.all_nodes, self._names.mark + payload)

    def send(self, node_id: str, payload: bytes) -> None:
        """Implement `Broker.send`."""
        self._publish(self._names.node_channel(node_id), self._names.mark + payload)

    async def flushed(self) -> None:
        """Implement `ServerBroker.flushed`."""
        await self._publisher.flushed()
        await self._link.call("PING")  # its reply follows those to all earlier commands

    async def run(self, listener: BrokerListener) -> None:
        """Keep the subscription until cancelled."""
        await self._subscription.run(listener)

    async def probe(self) -> None:
        """Probe the subscription until cancelled."""
        await self._subscription.probe()

    async def flush(self) -> None:
        """Send queued publications until cancelled."""
        await self._publisher.flush()
