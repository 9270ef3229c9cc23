"""Publications between nodes. Implemented by `gateway.redis.pubsub.broker`.

Delivery is at-most-once: Redis is a fast hint, and lost events are repaired from the chat log.
"""

from collections.abc import Sequence
from typing import Protocol


class BrokerListener(Protocol):
    """Receives what arrives at the broker; every method is synchronous and must not block."""

    def on_publications(self, batch: Sequence[tuple[int, bytes]]) -> None:
        """All (chat_id, payload) pairs of one read of the connection, in the order of arrival."""
        ...

    def on_announcements(self, batch: Sequence[bytes]) -> None:
        """All payloads of one read that were sent to every node or to this one, in the order of arrival."""
        ...

    def on_interrupted(self) -> None:
        """The subscription was interrupted and is restored: any publication in between may be lost."""
        ...


class Broker(Protocol):
    """One channel per chat, `chat:{id}`, one per node, `node:{id}`, and `nodes`, which every node receives."""

    async def subscribe(self, chat_id: int) -> None:
        """Return once Redis has confirmed: from then on every publication to the chat arrives.

        Concurrent callers share one pending SUBSCRIBE. While Redis is unavailable it returns after about 1 s:
        the channel is subscribed on reconnect, and `on_interrupted` is then called, so that positions are checked.
        """
        ...

    def unsubscribe(self, chat_id: int) -> None:
        """Unsubscribe after the last local subscriber; a `subscribe` may follow immediately."""
        ...

    def publish(self, chat_id: int, payload: bytes) -> None:
        """Queue for publishing, in order, pipelined with the rest of this turn of the event loop; never blocks.

        The queue is bounded: while Redis is unavailable the oldest entries are dropped and counted.
        """
        ...

    def announce(self, payload: bytes) -> None:
        """Queue for all nodes, this one included, like `publish`."""
        ...

    def send(self, node_id: str, payload: bytes) -> None:
        """Queue for one node, which may be this one, like `publish`; `payload` must not be empty."""
        ...

    @property
    def deaf(self) -> bool:
        """True while a subscription of this node to a Redis server is broken although its command connection works."""
        ...

    @property
    def refusal(self) -> str:
        """Why a Redis server rejects our password or permissions, in readable text; empty if none does."""
        ...

    @property
    def down(self) -> bool:
        """True while a Redis server does not answer on the command connection either: an outage for all nodes."""
        ...
