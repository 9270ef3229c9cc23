"""The broker of the events' exchange is away, or a node that publishes dies: no event is lost or out of its order."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel

from tests.e2e.chat_events import ABSENT, CHANGES, Order, arrived, stored
from tests.e2e.insistent_writer import change, write
from tests.support.cluster import Cluster, run_cluster
from tests.support.rabbitmq import RabbitServer

EXCHANGE = "chat.events"
QUEUE = "application"
FAULT_S = 1.5
CHATS = 2
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


async def received(broker: RabbitServer, chats: list[int]) -> Order:
    """The order in which the events of each chat first came to the queue, in which they stay."""
    first: dict[str, dict[str, Any]] = {}
    async with channel_of(broker) as channel:
        queue = await channel.get_queue(QUEUE)
        while (message := await queue.get(fail=False)) is not None:
            first.setdefault(str(message.message_id), json.loads(message.body))
    return arrived(first.values(), chats)


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
            queue = await channel.declare_queue(QUEUE, durable=True)
            for type_ in ("message.created", *CHANGES):
                await queue.bind(exchange, f"{type_}.*")
        options = {"AMQP_URL": broker.url, "EVENTS_EXCHANGE": EXCHANGE, "MESSAGES_PER_MINUTE": 0}
        options |= {"WEBHOOKS": json.dumps([ABSENT]), "WEBHOOK_ALLOW_PRIVATE": "true"}
        async with run_cluster(tmp_path / "nodes", redis_url, postgres_url, **options) as cluster:
            ann, *others = [await cluster.user(name) for name in ("ann", "bob", "cid", "dan")]
            chats = [await cluster.chat(ann) for _ in range(CHATS)]
            writing = asyncio.gather(
                write(cluster, chats, ann, is_over),
                *(change(cluster, chats, ann, other, is_over) for other in others),
            )
            for kind in dice.choices(KINDS, k=20):
                await asyncio.sleep(dice.uniform(0, 1))
                async with struck(kind, cluster, broker, dice):
                    await asyncio.sleep(FAULT_S)
            is_over.set()
            await writing
            expected = await stored(postgres_url, chats)
            while (found := await received(broker, chats)) != expected:  # leases of killed nodes, delays after failures
                for chat, order in found.items():
                    assert order == expected[chat][: len(order)]
                await asyncio.sleep(2)
            assert sum(map(len, expected.values())) > 100
    finally:
        broker.stop()
