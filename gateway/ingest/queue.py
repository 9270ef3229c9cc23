"""Opens the durable queue for one node, and closes it in order: two connections, one to publish and one to consume.

A broker that is short of memory or disk space stops listening to connections that publish; one that only consumes goes
on, and that is what empties the queue.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.ingest.consumer import Consumer
from gateway.ingest.consumption import Desk
from gateway.ingest.directory import Directory
from gateway.ingest.inbound import Reason
from gateway.ingest.link import Link
from gateway.ingest.publisher import Publisher, idle
from gateway.ingest.tolerance import be_tolerant
from gateway.room_store import Store
from gateway.rooms import Rooms
from gateway.tasks import Tasks

OUTCOMES = ("stored", "duplicate", *(reason.value for reason in Reason))
"""What `settled` may be told."""
START_S = 2.0
"""On opening, for the first connections; without them the node starts degraded."""


@dataclass(frozen=True, slots=True)
class QueueEvents:
    """Who is told: of what became of each message, of connections that ended, and of tasks that died."""

    settled: Callable[[str], None]
    link_lost: Callable[[str], None]
    task_failed: Callable[[str, BaseException], None]


class DurableQueue:
    """The queue as a node sees it. Made by `open_queue`."""

    def __init__(self, publishing: Link, consuming: Link, publisher: Publisher, consumer: Consumer) -> None:
        self._publishing = publishing
        self._consuming = consuming
        self._consumer = consumer
        self.inbox = publisher
        """Where POST hands messages in."""

    @property
    def is_up(self) -> bool:
        """Whether both connections stand."""
        return self._publishing.channel is not None and self._consuming.channel is not None

    @property
    def unacked(self) -> int:
        """How many messages are here, taken and not yet acknowledged."""
        return self._consumer.unacked

    async def finish(self) -> None:
        """Take no more messages, and return when those taken are settled (within seconds). POST still works."""
        await self._consumer.finish()


@asynccontextmanager
async def open_queue(
    url: str, *, node_id: str, rooms: Rooms, store: Store, max_text_length: int, events: QueueEvents
) -> AsyncIterator[DurableQueue]:
    """The queue at `url` (amqp or amqps); it may be away, now and later.

    On leaving, what is under way is finished first.
    """
    be_tolerant()
    logging.getLogger("aiormq").setLevel(
        logging.CRITICAL
    )  # at each attempt it says, with a traceback, what Link says once
    publishing = Link(url, f"chat-gateway {node_id} publish", idle, lambda: events.link_lost("publish"))
    publisher = Publisher(publishing)
    consumer = Consumer(Desk(node_id, Directory(rooms), store, publisher, max_text_length, events.settled))
    consuming = Link(url, f"chat-gateway {node_id} consume", consumer.serve, lambda: events.link_lost("consume"))
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
