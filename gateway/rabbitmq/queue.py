"""Opens the durable queues of one node, and closes them in order: a connection to publish, and one to consume each.

A broker that is short of memory or disk space blocks connections that publish. A connection that only consumes
continues, and so empties the queue.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.interfaces.rooms import Rooms, Store
from gateway.interfaces.users.senders import Senders
from gateway.rabbitmq.chat_intake import ChatIntake
from gateway.rabbitmq.connection import Link
from gateway.rabbitmq.consumer import Consumer, Desk
from gateway.rabbitmq.decoder import DeadLetterReason
from gateway.rabbitmq.intake import Intake
from gateway.rabbitmq.lenient_pamqp import be_tolerant
from gateway.rabbitmq.names import QueueNames
from gateway.rabbitmq.publisher import QueuePublisher, idle
from gateway.rabbitmq.room_intake import RoomIntake
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
    """The durable queues of one node. Create it with `open_queue`."""

    def __init__(self, links: Sequence[Link], publisher: QueuePublisher, consumers: Sequence[Consumer]) -> None:
        self._links = links
        self._consumers = consumers
        self.inbox = publisher
        """The publisher for messages from HTTP POST."""

    @property
    def is_up(self) -> bool:
        """Whether all connections are open."""
        return all(link.channel is not None for link in self._links)

    @property
    def refusal(self) -> str:
        """Why RabbitMQ rejects a connection or the queue; empty if it does not."""
        return next((link.refusal for link in self._links if link.refusal), "")

    @property
    def unacked(self) -> int:
        """The number of messages received and not yet acknowledged."""
        return sum(consumer.unacked for consumer in self._consumers)

    async def finish(self) -> None:
        """Stop consuming, and return when all received messages are settled (within seconds). POST still works."""
        await _finish(self._consumers)


@dataclass(frozen=True, slots=True)
class ChatQueue:
    """The queue of messages for chats, and who finds the users for whom they are sent."""

    names: QueueNames
    senders: Senders


async def _finish(consumers: Sequence[Consumer]) -> None:
    await asyncio.gather(*(consumer.finish() for consumer in consumers))


@asynccontextmanager
async def open_queue(
    url: str,
    names: QueueNames,
    *,
    node_id: str,
    rooms: Rooms,
    store: Store,
    max_text_length: int,
    events: QueueEvents,
    chats: ChatQueue | None = None,
) -> AsyncIterator[DurableQueue]:
    """The queues at `url` (amqp or amqps), which may be unavailable at any time; that of chats if there is one.

    On exit, received messages are settled first.
    """
    be_tolerant()
    logging.getLogger("aiormq").setLevel(
        logging.CRITICAL
    )  # it logs a traceback at each attempt; `Link` logs the error once
    publishing = Link(url, names, f"chat-gateway {node_id} publish", idle, lambda: events.link_lost("publish"))
    publisher = QueuePublisher(publishing, names.inbound)
    links, consumers = [publishing], []

    def consume(label: str, queue: QueueNames, intake: Intake) -> None:
        consumer = Consumer(Desk(node_id, queue, intake, store, publisher, events.settled))
        name = f"chat-gateway {node_id} {label.replace('_', ' ')}"
        links.append(Link(url, queue, name, consumer.serve, lambda: events.link_lost(label)))
        consumers.append(consumer)

    consume("consume", names, RoomIntake(rooms, max_text_length))
    if chats is not None:
        consume("consume_chats", chats.names, ChatIntake(chats.senders, max_text_length))
    tasks = Tasks(on_failure=events.task_failed)
    try:
        for link in links:
            tasks.spawn(link.run(), "queue link")
        try:
            async with asyncio.timeout(START_S):
                await asyncio.gather(*(link.connected.wait() for link in links))
        except TimeoutError:
            pass
        yield DurableQueue(links, publisher, consumers)
    finally:
        await _finish(consumers)
        await tasks.close()
