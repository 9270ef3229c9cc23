"""Queues of nodes with a real broker and store, a publisher, and conditions to wait for."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aio_pika
import orjson
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from gateway.authentication.represented_users import RepresentedUsers
from gateway.interfaces.rooms import Store
from gateway.rabbitmq.names import QueueNames
from gateway.rabbitmq.queue import ChatQueue, DurableQueue, QueueEvents, open_queue
from storage.database.store_identity import store_id
from storage.records import ChatEvent, NewEvent, OnOutcome, Outcome, Refusal
from storage.repositories.identities import Identities
from storage.repositories.rooms import RoomRepository
from tests.gateway.no_revocations import NoRevocations
from tests.storage.nodes import Node

MAX_TEXT = 1000
CHATS = "chat-messages"
"""The queue of messages for chats."""
TIMEOUT_S = 30.0


@dataclass
class Queue:
    """The queue connection of one node and its reports."""

    queue: DurableQueue
    settled: Counter[str]
    lost: Counter[str]
    failures: list[str]


@asynccontextmanager
async def running(
    node: Node, url: str, store: Store | None = None, name: str = "messages", *, chats: bool = False
) -> AsyncIterator[Queue]:
    """A node's queue; that none of its tasks died is checked at the end."""
    settled, lost, failures = Counter[str](), Counter[str](), list[str]()

    def count(counter: Counter[str]) -> Callable[[str], None]:
        def add(name: str) -> None:
            counter[name] += 1

        return add

    events = QueueEvents(count(settled), count(lost), lambda name, error: failures.append(f"{name}: {error!r}"))
    async with open_queue(
        url,
        QueueNames(name, await store_id(node.database)),
        node_id="node-1",
        rooms=RoomRepository(node.database),
        store=store or node.log,
        max_text_length=MAX_TEXT,
        events=events,
        chats=await _chat_queue(node) if chats else None,
    ) as queue:
        yield Queue(queue, settled, lost, failures)
    assert failures == []


async def _chat_queue(node: Node) -> ChatQueue:
    senders = RepresentedUsers(node.accounts, Identities(node.database), NoRevocations())
    return ChatQueue(QueueNames(CHATS, await store_id(node.database)), senders)


@dataclass
class Peer:
    """Any other AMQP client, such as a FastStream application that declares the queue and publishes JSON."""

    channel: AbstractChannel

    async def publish(
        self, value: object, *, message_id: str | None = None, to: str = "messages", **properties: Any
    ) -> None:
        """Publish JSON (bytes as they are) to a queue; returns when it is confirmed. Without an id it gets one."""
        body = value if isinstance(value, bytes) else orjson.dumps(value)
        message = aio_pika.Message(body, message_id=message_id, delivery_mode=2, **properties)
        await self.channel.default_exchange.publish(message, to)

    async def say(self, room: str, text: str, message_id: str | None = None) -> None:
        """Publish a message as the seed shows it."""
        await self.publish({"room_id": room, "content": text}, message_id=message_id)

    async def count(self, queue: str) -> int:
        """How many messages are ready in a queue."""
        declared = await self.channel.declare_queue(queue, durable=True)
        assert declared.declaration_result.message_count is not None
        return declared.declaration_result.message_count

    async def until_consumed_by(self, nodes: int, name: str = "messages") -> None:
        """Wait until so many consume a queue."""

        async def consumed() -> bool:
            declared = await self.channel.declare_queue(name, durable=True)
            return declared.declaration_result.consumer_count == nodes

        await until(consumed, f"{nodes} consumers")

    async def dead(self, count: int, name: str = "messages.dead") -> list[AbstractIncomingMessage]:
        """So many dead letters, once they are there, taken out; and that there are no more."""
        queue = await self.channel.declare_queue(name, durable=True)
        letters: list[AbstractIncomingMessage] = []

        async def all_came() -> bool:
            while (letter := await queue.get(fail=False)) is not None:
                await letter.ack()
                letters.append(letter)
            return len(letters) >= count

        await until(all_came, f"{count} dead letters")
        assert len(letters) == count, [letter.headers for letter in letters]
        return letters


@asynccontextmanager
async def peer(url: str) -> AsyncIterator[Peer]:
    """A peer that has declared the queue, durable and without arguments, before any node did."""
    async with await aio_pika.connect(url) as connection, connection.channel() as channel:
        await channel.declare_queue("messages", durable=True)
        yield Peer(channel)


async def log_of(node: Node, room: str) -> list[ChatEvent]:
    """All that is stored in a room."""
    return await node.history((await RoomRepository(node.database).room(room)).chat_id)


async def texts_of(node: Node, room: str) -> list[str]:
    """The texts of all that is stored in a room."""
    return [event.text for event in await log_of(node, room)]


async def until(condition: Callable[[], Awaitable[bool]], what: str, timeout_s: float = TIMEOUT_S) -> None:
    """Wait for a condition."""
    try:
        async with asyncio.timeout(timeout_s):
            while not await condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise TimeoutError(f"waited {timeout_s} s in vain for {what}") from None


async def until_stored(node: Node, room: str, texts: list[str]) -> None:
    """Wait until exactly these texts are stored, in order."""

    async def enough() -> bool:
        return len(await texts_of(node, room)) >= len(texts)

    await until(enough, f"{len(texts)} messages in {room}")
    stored = await texts_of(node, room)
    assert stored == texts, [pair for pair in enumerate(stored) if pair[1] != texts[pair[0]]][:20]


async def until_settled(where: Queue, **counts: int) -> None:
    """Wait until these outcomes, and no others, were counted, and every message is acknowledged."""

    async def settled() -> bool:
        return where.settled.total() >= sum(counts.values()) and where.queue.unacked == 0

    await until(settled, f"{counts}, not {dict(where.settled)}")
    assert dict(where.settled) == counts


@dataclass
class Fussy:
    """A store that refuses as the test says, before it asks the real one. `refuse` may keep count."""

    node: Node
    refuse: Callable[[NewEvent], Refusal | None]
    refused: Counter[str] = field(default_factory=Counter)

    def submit(self, event: NewEvent, done: OnOutcome) -> None:
        refusal = self.refuse(event)
        if refusal is None:
            self.node.log.submit(event, done)
            return
        self.refused[event.text] += 1
        answer: Outcome = refusal
        asyncio.get_running_loop().call_soon(done, answer)
