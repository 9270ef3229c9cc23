"""The broker of the events' exchange is away, or a node that publishes dies: no event is lost or out of its order."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel

from tests.e2e.insistent_writer import write
from tests.support.cluster import Cluster, run_cluster
from tests.support.rabbitmq import RabbitServer

EXCHANGE = "chat.events"
QUEUE = "application"
FAULT_S = 1.5
CHATS = 4
KINDS = ("broker killed", "broker paused", "node killed")


@asynccontextmanager
async def channel_of(broker: RabbitServer) -> AsyncIterator[AbstractChannel]:
    async with await aio_pika.connect(broker.url) as connection, connection.channel() as channel:
        yield channel


@asynccontextmanager
async def struck(kind: str, cluster: Cluster, broker: RabbitServer, dice: random.Random) -> AsyncIterator[None]:
    """With this fault inside."""
    match kind:
        case "broker killed":
            broker.kill()
            yield
            await asyncio.to_thread(broker.start)
        case "broker paused":
            broker.pause()
            yield
            broker.resume()
        case _:
            node = dice.choice(cluster.nodes)
            node.kill()
            yield
            node.start()


async def received(broker: RabbitServer) -> dict[int, list[int]]:
    """The seqs of each chat in the order in which its events first came to the queue, in which they stay."""
    first: dict[str, tuple[int, int]] = {}
    async with channel_of(broker) as channel:
        queue = await channel.get_queue(QUEUE)
        while (message := await queue.get(fail=False)) is not None:
            _, chat, seq = str(message.message_id).split(":")
            first.setdefault(str(message.message_id), (int(chat), int(seq)))
    seqs: dict[int, list[int]] = defaultdict(list)
    for chat_id, number in first.values():
        seqs[chat_id].append(number)
    return dict(seqs)


@pytest.mark.full
@pytest.mark.timeout(900)
async def test_twenty_faults_lose_no_published_event(tmp_path: Path, redis_url: str, postgres_url: str) -> None:
    dice, is_over = random.Random(1), asyncio.Event()
    (tmp_path / "broker").mkdir()
    broker = RabbitServer(tmp_path / "broker")
    broker.start()
    try:
        async with channel_of(broker) as channel:
            exchange = await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True)
            await (await channel.declare_queue(QUEUE, durable=True)).bind(exchange, "message.created.*")
        options = {"AMQP_URL": broker.url, "EVENTS_EXCHANGE": EXCHANGE, "MESSAGES_PER_MINUTE": 0}
        async with run_cluster(tmp_path / "nodes", redis_url, postgres_url, **options) as cluster:
            ann = await cluster.user("ann")
            chats = [await cluster.chat(ann) for _ in range(CHATS)]
            writing = asyncio.create_task(write(cluster, chats, ann, is_over))
            for kind in dice.choices(KINDS, k=20):
                await asyncio.sleep(dice.uniform(0, 1))
                async with struck(kind, cluster, broker, dice):
                    await asyncio.sleep(FAULT_S)
            is_over.set()
            await writing
            stored = {chat: list(range(1, (await cluster.chats.position(chat)).last_seq + 1)) for chat in chats}
            while (found := await received(broker)) != stored:  # a lease of a killed node, and delays after failures
                for chat, seqs in found.items():
                    assert seqs == stored[chat][: len(seqs)]
                await asyncio.sleep(2)
            assert sum(map(len, stored.values())) > 100
    finally:
        broker.stop()
