"""Seed 002 with RabbitMQ: the whole system on a real broker with other AMQP clients of the queue `messages`."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aio_pika
import httpx
import orjson
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from websockets.asyncio.client import ClientConnection

from tests.e2e.seed002 import TIMEOUT_S, documented, listen, new_token
from tests.e2e.system import System, run_system

POSTS, TAKEN = 9, 3


@pytest.fixture
def system(tmp_path: Path, amqp_url: str) -> Iterator[System]:
    """Two replicas that consume the queue."""
    folder = tmp_path / "system"
    folder.mkdir()
    with run_system(folder, {"AMQP_URL": amqp_url}) as running:
        yield running


@pytest.fixture
async def channel(amqp_url: str) -> AsyncIterator[AbstractChannel]:
    """Any AMQP client's."""
    async with await aio_pika.connect(amqp_url) as connection, connection.channel() as channel:
        yield channel


async def heard(socket: ClientConnection, count: int) -> list[str]:
    """What is said in the room, so often."""
    async with asyncio.timeout(TIMEOUT_S):
        return [orjson.loads(await socket.recv())["content"] for _ in range(count)]


async def test_message_from_amqp_client_reaches_all_in_the_room(system: System, channel: AbstractChannel) -> None:
    one, other = system.replica_urls[:2]
    first = await listen(one, await new_token(system.url))
    second = await listen(other, await new_token(system.url, username="user2"))
    message = documented("4. Отправка сообщений", 0)
    await channel.default_exchange.publish(aio_pika.Message(orjson.dumps(message)), "messages")
    nobodys = message | {"room_id": "nobody listens", "content": "later"}
    await channel.default_exchange.publish(aio_pika.Message(orjson.dumps(nobodys)), "messages")
    for socket in (first, second):
        assert await heard(socket, 1) == [message["content"]]
        await socket.close()
    async with asyncio.timeout(TIMEOUT_S):
        late = await listen(one, await new_token(system.url, room_id="nobody listens"), "nobody%20listens?since=0")
        assert await heard(late, 1) == ["later"]
        await late.close()


async def test_post_message_publishes_to_queue_and_responds_as_seed(system: System, channel: AbstractChannel) -> None:
    """A consumer that comes first takes some of what is posted; what it gives back is delivered all the same."""
    listener = await listen(system.url, await new_token(system.url))
    queue = await channel.declare_queue("messages", durable=True)
    taken: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
    await channel.set_qos(prefetch_count=TAKEN)
    consumer = await queue.consume(taken.put, arguments={"x-priority": 2**62})
    message = documented("4. Отправка сообщений", 0)
    said = [f"{message['content']} {number}" for number in range(POSTS)]
    async with httpx.AsyncClient(base_url=system.url) as http:
        for text in said:
            answer = await http.post("/message", json=message | {"content": text})
            assert (answer.status_code, answer.json()) == (200, documented("4. Отправка сообщений", 1))
    letters = [await asyncio.wait_for(taken.get(), TIMEOUT_S) for _ in range(TAKEN)]
    assert [orjson.loads(letter.body) | {"client_msg_id": ""} for letter in letters] == [
        message | {"content": text, "client_msg_id": ""} for text in said[:TAKEN]
    ]
    assert await heard(listener, POSTS - TAKEN) == said[TAKEN:]
    await queue.cancel(consumer)
    for letter in letters:
        await letter.reject(requeue=True)
    assert sorted(await heard(listener, TAKEN)) == said[:TAKEN]
    await listener.close()
