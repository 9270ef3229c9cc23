"""Opens the durable queue for one node, and closes it in order: two connections, one to publish and one to consume.

A broker that is short of memory or disk space blocks connections that publish. A connection that only consumes
continues, and so empties the queue.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.interfaces.rooms import Rooms, Store
from gateway.rabbitmq.connection import Link
from gateway.rabbitmq.consumer import Consumer, Desk
from gateway.rabbitmq.decoder import DeadLetterReason
from gateway.rabbitmq.lenient_pamqp import be_tolerant
from gateway.rabbitmq.names import QueueNames
from gateway.rabbitmq.publisher import QueuePublisher, idle
from gateway.rabbitmq.room_cache import Directory
from gateway.tasks import Tasks

OUTCOMES = ("stored", "duplicate", *(reason.value for reason in DeadLetterReason))
"""The values passed to `settled`."""
START_S = 2.0
"""How long opening waits for the first connections; without them the node starts degraded."""


@dataclass(frozen=True, slots=True)
class QueueEvents:
    """Callbacks for the outcome of each message, for connections that ended and for tasks that failed."""

    settled: Callable[[str], None]
    link_lost: Callable[[str], None]
    task_failed: Callable[[str, BaseException], None]


class DurableQueue:
    """The durable queue of one node. Create it with `open_queue`."""

    def __init__(self, publishing: Link, consuming: Link, publisher: QueuePublisher, consumer: Consumer) -> None:
        self._publishing = publishing
        self._consuming = consuming
        self._consumer = consumer
        self.inbox = publisher
        """The publisher for messages from HTTP POST."""

    @property
    def is_up(self) -> bool:
        """Whether both connections are open."""
        return self._publishing.channel is not None and self._consuming.channel is not None

    @property
    def refusal(self) -> str:
        """Why RabbitMQ rejects a connection or the queue; empty if it does not."""
        return self._publishing.refusal or self._consuming.refusal

    @property
    def unacked(self) -> int:
        """The number of messages received and not yet acknowledged."""
        return self._consumer.unacked

    async def finish(self) -> None:
        """Stop consuming, and return when all received messages are settled (within seconds). POST still works."""
        await self._consumer.finish()


@asynccontextmanager
async def open_queue(
    url: str, names: QueueNames, *, node_id: str, rooms: Rooms, store: Store, max_text_length: int, events: QueueEvents
) -> AsyncIterator[DurableQueue]:
    """The queue at `url` (amqp or amqps), which may be unavailable at any time.

    On exit, received messages are settled first.
    """
    be_tolerant()
    logging.getLogger("aiormq").setLevel(
        logging.CRITICAL
    )  # it logs a traceback at each attempt; `Link` logs the error once
    publishing = Link(url, names, f"chat-gateway {node_id} publish", idle, lambda: events.link_lost("publish"))
    publisher = QueuePublisher(publishing, names.inbound)
    consumer = Consumer(Desk(node_id, names, Directory(rooms), store, publisher, max_text_length, events.settled))
    consuming = Link(url, names, f"chat-gateway {node_id} consume", consumer.serve, lambda: events.link_lost("consume"))
    tasks = Tasks(on_failure=events.task_failed)
    try:
        for link in (publishing, consuming):
            tasks.spawn(link.run(), "queue link")
        try:
            async with asyncio.timeout(START_S):
                await asyncio.gather(publishing.connected.wait(), consuming.connected.wait())
        except TimeoutError:
            pass
        yield DurableQueue(publishing, consuming, publisher, consumer)
    finally:
        await consumer.finish()
        await tasks.close()
