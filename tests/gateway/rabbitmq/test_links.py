"""The broker stopped, frozen or restarted: POST fails in bounded time, and accepted messages are stored."""

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.errors import QueueUnavailable
from gateway.rabbitmq import queue
from gateway.rabbitmq.publisher import CONFIRM_S
from gateway.server.logs import redacted
from tests.gateway.rabbitmq.bench import Peer, Queue, running, texts_of, until, until_settled
from tests.gateway.rabbitmq.messages import message
from tests.storage.nodes import Node
from tests.support.machine_speed import slowness
from tests.support.rabbitmq import RabbitServer
from tests.support.servers import PostgresServer

MARGIN_S = 1.5


async def refused(where: Queue, text: str) -> bool:
    """Whether the inbox refuses a message; it must say so, or accept it, within its bound."""
    started = time.monotonic()
    try:
        await where.queue.inbox.accept(message(text))
    except QueueUnavailable:
        return True
    finally:
        took_s = time.monotonic() - started
        assert took_s < CONFIRM_S + MARGIN_S or took_s < CONFIRM_S + MARGIN_S * slowness()
    return False


async def until_up(where: Queue) -> None:
    async def up() -> bool:
        return where.queue.is_up

    await until(up, "both links")


@asynccontextmanager
async def stopped(server: RabbitServer) -> AsyncIterator[None]:
    """Without a broker inside; with one again after."""
    server.kill()
    try:
        yield
    finally:
        server.start()  # not in a thread: the kernel ends it when the thread that started it ends


async def test_node_starts_without_broker_and_uses_it_later(
    node: Node, rabbitmq_server: RabbitServer, amqp_url: str
) -> None:
    async with stopped(rabbitmq_server):
        opened = running(node, amqp_url)
        here = await opened.__aenter__()
        assert not here.queue.is_up
        assert await refused(here, "early")
    await until_up(here)
    assert not await refused(here, "late")
    await until_settled(here, stored=1)
    assert await texts_of(node, "room1") == ["late"]
    await opened.__aexit__(None, None, None)


async def test_messages_accepted_around_broker_restart_are_stored_once(
    node: Node, rabbitmq_server: RabbitServer, amqp_url: str
) -> None:
    accepted: list[str] = []
    attempted: set[str] = set()
    is_over = False

    async def post(where: Queue) -> None:
        for number in itertools.count():
            if is_over:
                return
            text = f"{number}"
            attempted.add(text)
            if await refused(where, text):
                await asyncio.sleep(0.05)
            else:
                accepted.append(text)

    async with running(node, amqp_url) as here, running(node, amqp_url) as there:

        async def some_accepted() -> bool:
            return len(accepted) > 100

        async def some_refused() -> bool:
            return len(attempted) > len(accepted) + 10

        posting = asyncio.create_task(post(here))
        await until(some_accepted, "accepted messages")
        async with stopped(rabbitmq_server):
            await until(some_refused, "refused messages")
        await until_up(here)
        await until_up(there)
        is_over = True
        await posting

        async def all_stored() -> bool:
            return set(accepted) <= set(await texts_of(node, "room1"))

        await until(all_stored, "everything that was accepted")
        stored = await texts_of(node, "room1")
        assert len(stored) == len(set(stored))
        assert set(stored) <= attempted
        assert here.lost["consume"] == 1


async def test_frozen_broker_rejects_in_bounded_time(node: Node, rabbitmq_server: RabbitServer, amqp_url: str) -> None:
    async with running(node, amqp_url) as here:
        await until_up(here)
        rabbitmq_server.pause()
        try:
            assert await refused(here, "frozen")
            started = time.monotonic()
            assert await refused(here, "then at once")
            assert time.monotonic() - started < 0.5 * slowness()
        finally:
            rabbitmq_server.resume()
        await until_up(here)

        async def accepted() -> bool:
            return not await refused(here, "thawed")

        await until(accepted, "a broker that thawed")

        async def stored() -> bool:
            return "thawed" in await texts_of(node, "room1")

        await until(stored, "the message")


async def test_stop_is_bounded_while_broker_is_frozen(node: Node, rabbitmq_server: RabbitServer, amqp_url: str) -> None:
    opened = running(node, amqp_url)
    here = await opened.__aenter__()
    await until_up(here)
    rabbitmq_server.pause()
    try:
        started = time.monotonic()
        await opened.__aexit__(None, None, None)
        assert time.monotonic() - started < 12 * slowness()
    finally:
        rabbitmq_server.resume()


async def test_database_restart_under_load_keeps_order_and_messages(
    postgres_node: Node, postgres_server: PostgresServer, peer: Peer, amqp_url: str
) -> None:
    node = postgres_node
    texts = [str(number) for number in range(400)]
    async with running(node, amqp_url) as here:
        for number, text in enumerate(texts):
            await peer.say("room1", text, message_id=f"m-{text}")
            if number == 100:
                postgres_server.kill()
        postgres_server.start()

        async def settled() -> bool:
            return here.settled["stored"] + here.settled["duplicate"] >= len(texts) and here.queue.unacked == 0

        await until(settled, "every message")
        assert await texts_of(node, "room1") == texts
        assert set(here.settled) <= {"stored", "duplicate"}
    assert await peer.count("messages.dead") == 0


async def test_no_password_is_logged(
    node: Node, rabbitmq_server: RabbitServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "START_S", 0.5)
    caplog.set_level(logging.DEBUG, "gateway")
    for url in (
        f"amqp://guest:hunter2@127.0.0.1:{rabbitmq_server.port}/",
        "amqp://guest:hunter2@127.0.0.1:1/",
        "amqp://guest:hunter2@no.such.host.example/",
        f"amqp://guest:hunter2@127.0.0.1:{rabbitmq_server.port}/no-such-vhost",
        "amqp://guest:hunter2@[bad/",
    ):
        async with running(node, url) as here:
            assert await refused(here, "x")
    logged = [
        redacted(logging.Formatter("%(message)s %(fields)s", defaults={"fields": ""}).format(r)) for r in caplog.records
    ]
    assert any("queue_unreachable" in line for line in logged)
    assert any("queue_refused" in line for line in logged)
    assert [line for line in logged if "hunter2" in line] == []
