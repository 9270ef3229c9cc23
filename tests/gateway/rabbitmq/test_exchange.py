"""Events in a topic exchange of a real broker."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage, TimeoutType

from gateway.errors import SendFailed
from gateway.interfaces.outbox import OutsideEvent
from gateway.metrics import Registry
from gateway.metrics.webhooks import WebhookMetrics
from gateway.rabbitmq.exchange import EventExchange, open_exchange
from gateway.tasks import Tasks
from gateway.webhooks.outlet import EXCHANGE, Outlet
from storage.database.database import open_database
from storage.log.chat_log import open_chat_log
from storage.log.event_ranges import EventRanges
from storage.outbox.queue import Outbox
from storage.outbox_records import EventType, Wanted
from tests.storage.nodes import message, node_over, outcomes
from tests.support.migrated import make_store
from tests.support.rabbitmq import RabbitServer

NAME = "chat.events"


@asynccontextmanager
async def exchange_at(url: str) -> AsyncIterator[EventExchange]:
    failures: list[str] = []
    async with open_exchange(url, NAME, "node", lambda: None, lambda name, _: failures.append(name)) as exchange:
        yield exchange
    assert failures == []


@pytest.fixture
async def received(rabbitmq_server: RabbitServer) -> AsyncIterator[list[AbstractIncomingMessage]]:
    """What a durable queue of an application gets of all messages' events, in order."""
    found: list[AbstractIncomingMessage] = []
    connection = await aio_pika.connect_robust(rabbitmq_server.url)
    async with connection, connection.channel() as channel:
        await channel.exchange_delete(NAME)
        exchange = await channel.declare_exchange(NAME, aio_pika.ExchangeType.TOPIC, durable=True)
        queue = await channel.declare_queue("application", durable=True)
        await queue.purge()
        await queue.bind(exchange, "message.#")

        async def take(message: AbstractIncomingMessage) -> None:
            async with message.process():
                found.append(message)

        await queue.consume(take)
        yield found


async def until(count: int, received: list[Any]) -> None:
    async with asyncio.timeout(20):
        while len(received) < count:
            await asyncio.sleep(0.05)


def event(number: int, type_: str = "message.created", key: str = "7") -> OutsideEvent:
    return OutsideEvent(f"e:{key}:{number}", type_, key, json.dumps({"number": number}).encode())


async def test_event_has_its_routing_key(
    rabbitmq_server: RabbitServer, received: list[AbstractIncomingMessage]
) -> None:
    async with exchange_at(rabbitmq_server.url) as exchange:
        await exchange.connected.wait()
        await exchange.send([event(1), event(2, "message.edited", "8"), event(3, "user.online", "9")])
        await until(2, received)
    first, second = sorted(received, key=lambda message: message.routing_key or "")
    assert (first.routing_key, first.message_id, first.type) == ("message.created.7", "e:7:1", "message.created")
    assert (first.body, first.content_type) == (b'{"number": 1}', "application/json")
    assert first.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert second.routing_key == "message.edited.8"


async def test_exchange_without_broker_fails_at_once() -> None:
    async with exchange_at("amqp://guest:guest@127.0.0.1:1/") as exchange:
        with pytest.raises(SendFailed, match="unavailable"):
            await exchange.send([event(1)])


async def test_connection_that_failed_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[aio_pika.Connection] = []
    connect = aio_pika.Connection.connect

    async def noted(connection: aio_pika.Connection, timeout: TimeoutType = None) -> None:
        made.append(connection)
        await connect(connection, timeout)

    monkeypatch.setattr(aio_pika.Connection, "connect", noted)
    async with exchange_at("amqp://guest:guest@127.0.0.1:1/"), asyncio.timeout(20):
        while len(made) < 2:
            await asyncio.sleep(0.05)
    assert all(connection.is_closed for connection in made)


async def test_exchange_of_another_kind_is_an_outage(rabbitmq_server: RabbitServer) -> None:
    async with await aio_pika.connect(rabbitmq_server.url) as connection, connection.channel() as channel:
        await channel.exchange_delete(NAME)
        other = await channel.declare_exchange(NAME, aio_pika.ExchangeType.FANOUT, durable=True)
        try:
            async with exchange_at(rabbitmq_server.url) as exchange:
                async with asyncio.timeout(10):
                    while not exchange.refusal:
                        await asyncio.sleep(0.05)
                with pytest.raises(SendFailed, match="unavailable"):
                    await exchange.send([event(1)])
        finally:
            await other.delete()


async def is_there(connection: aio_pika.abc.AbstractConnection) -> bool:
    """Whether the exchange exists; asked on a channel of its own, which the broker closes otherwise."""
    try:
        async with connection.channel() as channel:
            await channel.declare_exchange(NAME, passive=True)
    except aio_pika.exceptions.ChannelNotFoundEntity:
        return False
    return True


@pytest.mark.timeout(300)
@pytest.mark.parametrize("times", [2, pytest.param(20, marks=pytest.mark.full)])
async def test_deleted_exchange_is_declared_again_and_loses_nothing(
    rabbitmq_server: RabbitServer, received: list[AbstractIncomingMessage], times: int
) -> None:
    async with (
        exchange_at(rabbitmq_server.url) as exchange,
        await aio_pika.connect(rabbitmq_server.url) as connection,
        connection.channel() as channel,
    ):
        await exchange.connected.wait()
        queue = await channel.get_queue("application")
        for number in range(times):
            await channel.exchange_delete(NAME)
            with pytest.raises(SendFailed, match="unconfirmed"):
                await exchange.send([event(number)])
            async with asyncio.timeout(30):
                while not await is_there(connection):
                    await asyncio.sleep(0.05)
            await queue.bind(NAME, "message.#")  # as an application must: its bindings went with the exchange
            while True:
                try:
                    await exchange.send([event(number)])
                    break
                except SendFailed:
                    await asyncio.sleep(0.05)
        await until(times, received)
    assert [one.message_id for one in received] == [event(number).id for number in range(times)]


async def test_events_around_a_broker_restart_arrive_in_order(
    sqlite_url: str, rabbitmq_server: RabbitServer, received: list[AbstractIncomingMessage]
) -> None:
    await make_store(sqlite_url)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(sqlite_url))
        exchange = await stack.enter_async_context(exchange_at(rabbitmq_server.url))
        outbox = Outbox(database, Wanted({EXCHANGE: frozenset(EventType)}))
        await outbox.begin()
        outlet = Outlet(outbox, EventRanges(database), WebhookMetrics(Registry()))
        outlet.add(EXCHANGE, frozenset(EventType), exchange)
        log = await stack.enter_async_context(open_chat_log(database, lambda size, seconds: outlet.stir()))
        tasks = Tasks()
        stack.push_async_callback(tasks.close)
        outlet.start(tasks)
        node = node_over(database, log)
        ann = await node.person("ann")
        chats = [await node.group(ann) for _ in range(3)]
        await outcomes([node.submit(message(chat, ann)) for _ in range(20) for chat in chats])
        rabbitmq_server.kill()
        try:
            await outcomes([node.submit(message(chat, ann)) for _ in range(20) for chat in chats])
            await asyncio.sleep(1)
        finally:
            rabbitmq_server.start()
        await outcomes([node.submit(message(chat, ann)) for _ in range(20) for chat in chats])

        def first_seen() -> list[dict[str, Any]]:
            found = {one.message_id: json.loads(one.body) for one in received}
            return list(found.values())

        async with asyncio.timeout(60):
            while len(first_seen()) < 180:
                await asyncio.sleep(0.1)
    for chat in chats:
        assert [one["seq"] for one in first_seen() if one["chat_id"] == chat] == list(range(1, 61))
