"""Takes messages from the queue on whatever connection there is."""

from aio_pika.abc import AbstractChannel

from gateway.ingest.consumption import Consumption, Desk


class Consumer:
    """Takes messages on whatever connection there is, until `finish`. `serve` is what a link does with a channel."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._consumption: Consumption | None = None
        self._is_finishing = False

    @property
    def unacked(self) -> int:
        """How many messages are here."""
        return self._consumption.unacked if self._consumption else 0

    async def serve(self, channel: AbstractChannel) -> None:
        """Take messages until the connection ends.

        Raises: QueueUnavailable.
        """
        if self._is_finishing:
            return
        self._consumption = Consumption(self._desk)
        await self._consumption.run(channel)

    async def finish(self) -> None:
        """Take no more, on this connection or any other; returns when all is acknowledged, or after FINISH_S."""
        self._is_finishing = True
        if self._consumption is not None:
            await self._consumption.finish()
