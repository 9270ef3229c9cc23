"""A queue belongs to one store: another store on the same virtual host is rejected with a clear error."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import aio_pika
import pytest

from gateway.errors import QueueUnavailable
from tests.gateway.rabbitmq.bench import Peer, running, texts_of, until, until_stored
from tests.gateway.rabbitmq.messages import message
from tests.storage.nodes import Node, open_node
from tests.support.migrated import make_store
from tests.support.rabbitmq import RabbitServer


@pytest.fixture
async def stranger(tmp_path: Path) -> AsyncIterator[Node]:
    """A node over another store."""
    url = f"sqlite://{tmp_path / 'other.db'}"
    await make_store(url)
    async with open_node(url) as node:
        yield node


async def test_second_system_is_rejected_with_one_error(
    node: Node, stranger: Node, peer: Peer, amqp_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(node, amqp_url) as owner, running(stranger, amqp_url) as other:
        await until(lambda: _is(owner.queue.is_up), "the owner")
        await until(lambda: _is(other.queue.refusal != ""), "a refusal")
        assert "belongs to another store" in other.queue.refusal
        assert (other.queue.is_up, owner.queue.refusal) == (False, "")
        for number in range(5):
            await peer.say("room1", f"{number}")
        await until_stored(node, "room1", [f"{number}" for number in range(5)])
        assert await texts_of(stranger, "room1") == []
        with pytest.raises(QueueUnavailable):
            await other.queue.inbox.accept(message("mine"))
        errors = [record for record in caplog.records if record.getMessage() == "queue_refused"]
        assert [record.levelno for record in errors] == [logging.ERROR] * 2  # one a link, not one an attempt


async def test_two_systems_with_own_queues_share_a_virtual_host(
    node: Node, stranger: Node, rabbitmq_server: RabbitServer, amqp_url: str
) -> None:
    await rabbitmq_server.delete("staging", "staging.dead")
    async with running(node, amqp_url) as one, running(stranger, amqp_url, name="staging") as other:
        for queue in (one, other):
            await until(lambda queue=queue: _is(queue.queue.is_up), "both links")  # type: ignore[misc]
        await one.queue.inbox.accept(message("one"))
        await other.queue.inbox.accept(message("other"))
        await until_stored(node, "room1", ["one"])
        await until_stored(stranger, "room1", ["other"])
    await rabbitmq_server.delete("staging", "staging.dead")


async def test_rejected_login_is_reported_and_logged_once_per_link(
    node: Node, amqp_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(node, amqp_url.replace("guest:guest", "guest:hunter2")) as here:
        await until(lambda: _is(here.queue.refusal != ""), "a refusal")
    assert "rejects our login" in here.queue.refusal
    assert "hunter2" not in caplog.text
    assert len([record for record in caplog.records if record.getMessage() == "queue_refused"]) <= 2


async def test_queue_declared_with_other_arguments_is_rejected(
    node: Node, rabbitmq_server: RabbitServer, amqp_url: str
) -> None:
    async with await aio_pika.connect(amqp_url) as connection, connection.channel() as channel:
        await channel.declare_queue("messages", durable=True, arguments={"x-max-length": 5})
    async with running(node, amqp_url) as here:
        await until(lambda: _is(here.queue.refusal != ""), "a refusal")
    await rabbitmq_server.delete("messages")


async def _is(value: bool) -> bool:
    return value
