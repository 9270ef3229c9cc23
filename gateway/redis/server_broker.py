"""What the rooms over one Redis, or over one cluster, ask of its broker beyond `gateway.broker.Broker`."""

from typing import Protocol

from gateway.broker import Broker


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
