"""Publishes to the durable queue and awaits the broker's confirm. Implements `gateway.interfaces.rooms.RoomInbox`."""

import asyncio
import uuid

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel

from gateway.errors import QueueUnavailable
from gateway.interfaces.rooms import RoomMessage
from gateway.rabbitmq.connection import Link, queue_trouble
from httpapi.bounded_json import to_json

CONFIRM_S = 3.0
"""A broker confirms within milliseconds, unless it is unavailable, or out of memory or disk space."""
MAX_UNDER_WAY = 1000


async def idle(_: AbstractChannel) -> None:
    """The `serve` callback of a link that only publishes: wait until cancelled."""
    await asyncio.get_running_loop().create_future()


class QueuePublisher:
    """Publishes concurrently over one link. A publish that is not confirmed in time closes the connection."""

    def __init__(self, link: Link, queue: str) -> None:
        self._link = link
        self._queue = queue
        self._under_way = 0

    async def accept(self, message: RoomMessage) -> None:
        """Return once the broker has confirmed the message, which is then on its disk.

        Raises: QueueUnavailable; the message may be in the queue nevertheless.
        """
        fields = {"room_id": message.room, "content": message.text, "client_msg_id": message.client_msg_id}
        await self.publish(
            self._queue,
            Message(
                to_json(fields),
                content_type="application/json",
                message_id=uuid.uuid4().hex,
                delivery_mode=DeliveryMode.PERSISTENT,
            ),
        )

    async def publish(self, queue: str, message: Message) -> None:
        """Return once the broker has confirmed the message.

        Its message_id must be unique among concurrent calls, because aiormq identifies a returned message by it.

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
