"""Publications across nodes, over one server. Meets `gateway.broker.Broker`."""

from typing import Final

from gateway.broker import BrokerListener
from gateway.redis.events import RedisEvents
from gateway.redis.link import Link
from gateway.redis.publisher import Publisher
from gateway.redis.subscription import PLAIN, PROBE_INTERVAL_S, Subscription

ALL_NODES: Final = b"nodes"


def chat_channel(chat_id: int) -> bytes:
    """What everyone hears whose clients are in the chat."""
    return b"chat:%d" % chat_id


def node_channel(node_id: str) -> bytes:
    """What one node hears."""
    return b"node:" + node_id.encode()


class RedisBroker:
    """See `Broker` for the channels. `run`, `probe` and `flush` are its owner tasks."""

    def __init__(
        self, url: str, link: Link, node_id: str, events: RedisEvents, *, probe_interval_s: float = PROBE_INTERVAL_S
    ) -> None:
        own = node_channel(node_id)
        self._link = link
        self._publisher = Publisher(link, events, PLAIN.publish)
        self._publish = self._publisher.publish
        self._subscription = Subscription(
            url, link, events, channels=[ALL_NODES], probe_channel=own, probe_interval_s=probe_interval_s
        )

    @property
    def deaf(self) -> bool:
        """Whether this node's own subscription is broken although the command link works."""
        return not self._subscription.is_whole and self._link.is_up

    @property
    def down(self) -> bool:
        """Whether the command link has no answer either."""
        return not self._link.is_up

    @property
    def unpublished(self) -> int:
        """How many publications wait for Redis."""
        return len(self._publisher)

    async def subscribe(self, chat_id: int) -> None:
        """See `Broker`."""
        await self._subscription.subscribe(chat_channel(chat_id))

    def unsubscribe(self, chat_id: int) -> None:
        """See `Broker`."""
        self._subscription.unsubscribe(chat_channel(chat_id))

    def publish(self, chat_id: int, payload: bytes) -> None:
        """See `Broker`."""
        self._publish(chat_channel(chat_id), payload)

    def announce(self, payload: bytes) -> None:
        """See `Broker`."""
        self._publish(ALL_NODES, payload)

    def send(self, node_id: str, payload: bytes) -> None:
        """See `Broker`."""
        self._publish(node_channel(node_id), payload)

    async def flushed(self) -> None:
        """See `ServerBroker`."""
        await self._publisher.flushed()
        await self._link.call("PING")  # its answer comes after those to all commands before

    async def run(self, listener: BrokerListener) -> None:
        """Keep the subscription, for ever."""
        await self._subscription.run(listener)

    async def probe(self) -> None:
        """See whether it still hears, for ever."""
        await self._subscription.probe()

    async def flush(self) -> None:
        """Send what waited for Redis, for ever."""
        await self._publisher.flush()
