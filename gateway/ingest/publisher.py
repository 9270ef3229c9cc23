"""Into the durable queue: what returns is on the broker's disk. Meets `gateway.rooms.RoomInbox`."""

import asyncio
import uuid

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel

from gateway.errors import QueueUnavailable
from gateway.ingest.link import QUEUE, Link, queue_trouble
from gateway.rooms import RoomMessage
from gateway.wire import to_json

CONFIRM_S = 3.0
"""A broker confirms within milliseconds, unless it is away, or out of memory or disk space."""
MAX_UNDER_WAY = 1000


async def idle(_: AbstractChannel) -> None:
    """What a link that only publishes does of itself: nothing, for as long as it lives."""
    await asyncio.get_running_loop().create_future()


class Publisher:
    """Publishes over one link, many at a time. Whoever is not confirmed in time breaks the link: it is no good."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._under_way = 0

    async def accept(self, message: RoomMessage) -> None:
        """Return once the broker has taken responsibility for the message.

        Raises: QueueUnavailable; it may be in the queue all the same.
        """
        fields = {"room_id": message.room, "content": message.text, "client_msg_id": message.client_msg_id}
        await self.publish(
            QUEUE,
            Message(
                to_json(fields),
                content_type="application/json",
                message_id=uuid.uuid4().hex,
                delivery_mode=DeliveryMode.PERSISTENT,
            ),
        )

    async def publish(self, queue: str, message: Message) -> None:
        """Return once the broker has confirmed the message.

        Its message_id must be nobody else's while this runs: aiormq tells by it which message came back.

        Raises: QueueUnavailable.
        """
        channel = self._link.channel
        if channel is None or self._under_way >= MAX_UNDER_WAY:
            raise QueueUnavailable("not connected" if channel is None else "too many messages wait to be confirmed")
        self._under_way += 1
        try:
            with queue_trouble():
                async with asyncio.timeout(CONFIRM_S):
                    await channel.default_exchange.publish(message, queue, mandatory=True)
        except QueueUnavailable:
            if self._link.channel is channel:
                self._link.drop()
            raise
        finally:
            self._under_way -= 1
