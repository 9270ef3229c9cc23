"""Publishes events to the topic exchange EVENTS_EXCHANGE. Implements `gateway.interfaces.outbox.EventSender`.

It has a connection of its own: a broker that rejects the exchange must not end the connections of the durable queue.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aio_pika import DeliveryMode, ExchangeType, Message
from aio_pika.abc import AbstractChannel, AbstractExchange

from gateway.errors import QueueUnavailable, SendFailed
from gateway.interfaces.outbox import OutsideEvent
from gateway.rabbitmq.connection import Link, queue_trouble
from gateway.rabbitmq.lenient_pamqp import be_tolerant
from gateway.rabbitmq.names import QueueNames
from gateway.rabbitmq.publisher import idle
from gateway.tasks import Tasks

CONFIRM_S: Final = 4.0
"""For a whole delivery."""


class EventExchange(Link):
    """A connection that declares the exchange. `run` is its owner task."""

    def __init__(self, url: str, exchange: str, name: str, on_lost: Callable[[], None]) -> None:
        super().__init__(url, QueueNames(exchange, ""), name, idle, on_lost)
        self._exchange_name = exchange
        self._exchange: AbstractExchange | None = None

    async def _declare(self, channel: AbstractChannel) -> None:
        self._exchange = await channel.declare_exchange(self._exchange_name, ExchangeType.TOPIC, durable=True)

    async def send(self, events: Sequence[OutsideEvent]) -> None:
        """Implement `EventSender.send`: return once the broker has confirmed every event."""
        channel, exchange = self.channel, self._exchange
        if channel is None or exchange is None:
            raise SendFailed("unavailable")
        chats: dict[str, list[OutsideEvent]] = {}
        for event in events:
            chats.setdefault(event.key, []).append(event)
        try:
            with queue_trouble():
                async with asyncio.timeout(CONFIRM_S), asyncio.TaskGroup() as group:
                    for ordered in chats.values():
                        group.create_task(_publish(exchange, ordered))
        except (QueueUnavailable, BaseExceptionGroup) as error:
            if isinstance(error, BaseExceptionGroup) and error.split(Exception)[1] is not None:
                raise
            if self.channel is channel:
                self.drop()
            raise SendFailed("unconfirmed") from error


async def _publish(exchange: AbstractExchange, events: Sequence[OutsideEvent]) -> None:
    """One after the other, each confirmed, so that an event that is rejected cannot be overtaken by the next one."""
    for event in events:
        message = Message(
            event.json,
            content_type="application/json",
            message_id=event.id,
            type=event.type,
            delivery_mode=DeliveryMode.PERSISTENT,
        )
        with queue_trouble():
            await exchange.publish(message, f"{event.type}.{event.key}", mandatory=False)


@asynccontextmanager
async def open_exchange(
    url: str,
    exchange: str,
    node_id: str,
    on_lost: Callable[[], None],
    on_failure: Callable[[str, BaseException], None],
) -> AsyncIterator[EventExchange]:
    """The exchange at `url`, which may be unavailable at any time."""
    be_tolerant()
    link = EventExchange(url, exchange, f"chat-gateway {node_id} events", on_lost)
    tasks = Tasks(on_failure=on_failure)
    tasks.spawn(link.run(), "events link")
    try:
        yield link
    finally:
        await tasks.close()
