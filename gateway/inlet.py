"""Builds what lets messages of other systems in: the durable queues of RabbitMQ."""

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from gateway.config.settings import Settings
from gateway.interfaces.rooms import Store
from gateway.interfaces.users.senders import Senders
from gateway.metrics import Metrics
from storage.repositories.rooms import RoomRepository

if TYPE_CHECKING:
    from gateway.rabbitmq.queue import DurableQueue


async def no_queue() -> None:
    """`finish_queue` of a node without a durable queue."""


async def open_inlet(
    stack: AsyncExitStack,
    settings: Settings,
    store_id: str,
    node_id: str,
    rooms: RoomRepository,
    senders: Senders,
    store: Store,
    metrics: Metrics,
    failures: list[str],
) -> "DurableQueue | None":
    """Open the durable queues at AMQP_URL, if it is set; closed with the stack."""
    if not settings.amqp_url:
        return None
    from gateway.rabbitmq.names import QueueNames
    from gateway.rabbitmq.queue import (  # takes 0.1 s, so only nodes with a queue import it
        OUTCOMES,
        ChatQueue,
        QueueEvents,
        open_queue,
    )

    events = QueueEvents(
        settled=metrics.queue.settled,
        link_lost=metrics.queue.link_lost,
        task_failed=lambda name, _: failures.append(name),
    )
    chat_queue = settings.amqp_chat_queue
    chats = ChatQueue(QueueNames(chat_queue, store_id), senders) if chat_queue else None
    queue = await stack.enter_async_context(
        open_queue(
            settings.amqp_url,
            QueueNames(settings.amqp_queue, store_id),
            node_id=node_id,
            rooms=rooms,
            store=store,
            max_text_length=settings.max_text_length,
            events=events,
            chats=chats,
        )
    )
    metrics.queue.watch(lambda: queue.unacked, OUTCOMES)
    return queue
