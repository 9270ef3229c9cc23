"""Seam: publications across nodes. `gateway.redis.broker` meets it.

At-most-once by nature: Redis is a fast hint, and whatever is lost here is repaired from the chat log.
"""

from collections.abc import Sequence
from typing import Protocol


class BrokerListener(Protocol):
    """Who receives what the broker hears; every method is synchronous and must not block."""

    def on_publications(self, batch: Sequence[tuple[int, bytes]]) -> None:
        """All (chat_id, payload) that one read of the connection brought, in arrival order."""
        ...

    def on_announcements(self, batch: Sequence[bytes]) -> None:
        """All that one read brought of what was said to every node, or to this one, in arrival order."""
        ...

    def on_interrupted(self) -> None:
        """The subscription was broken and is whole again: anything may have been missed in between."""
        ...


class Broker(Protocol):
    """One channel per chat, `chat:{id}`, one per node, `node:{id}`, and `nodes`, which every node hears."""

    async def subscribe(self, chat_id: int) -> None:
        """Return once Redis has confirmed: from then on every publication to the chat arrives.

        Concurrent callers share one pending SUBSCRIBE. While Redis is away this returns after a bound (about 1 s) all
        the same: the channel is subscribed on reconnect, and `on_interrupted` then says that positions must be checked.
        """
        ...

    def unsubscribe(self, chat_id: int) -> None:
        """Nobody local is left; safe against a `subscribe` that follows at once."""
        ...

    def publish(self, chat_id: int, payload: bytes) -> None:
        """Hand over for publishing, in order, pipelined with all else of this loop turn; never blocks.

        The queue is bounded: while Redis is away the oldest are dropped and counted.
        """
        ...

    def announce(self, payload: bytes) -> None:
        """Hand over for every node, this one included, as `publish` does."""
        ...

    def send(self, node_id: str, payload: bytes) -> None:
        """Hand over for one node, which may be this one, as `publish` does; `payload` is not empty."""
        ...

    @property
    def deaf(self) -> bool:
        """True while this node's own subscription to a Redis is broken although its command link there works."""
        ...

    @property
    def down(self) -> bool:
        """True while a Redis does not answer on the command link either: an outage that all nodes share."""
        ...
