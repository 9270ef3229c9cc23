"""Why the subscription has one owner task and a stream of its own: what redis-py's does when its connection is cut."""

import asyncio
import gc
from typing import Any

import pytest
import redis.asyncio
from redis.asyncio.connection import Connection, ConnectionPool

from tests.gateway.redis.nodes import open_node
from tests.support.servers import RedisServer
from tests.support.waiting import eventually


class Slow(Connection):
    """A connection that takes a moment to be made, as over a network."""

    made = 0

    async def _connect(self) -> None:
        type(self).made += 1
        await asyncio.sleep(0.05)
        await super()._connect()


async def kill_subscriptions(server: RedisServer) -> None:
    async with redis.asyncio.Redis(port=server.port) as client:
        await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")


@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")  # the lost one's end
@pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
async def test_redis_py_reader_and_subscriber_both_reconnect(redis_server: RedisServer) -> None:
    Slow.made = 0
    pool = ConnectionPool(connection_class=Slow, host="127.0.0.1", port=redis_server.port)
    async with redis.asyncio.Redis(connection_pool=pool) as client, client.pubsub() as pubsub:
        await pubsub.subscribe("a")
        await pubsub.get_message(timeout=1)
        assert Slow.made == 1
        reading: asyncio.Task[Any] = asyncio.create_task(pubsub.get_message(timeout=2))
        await asyncio.sleep(0)
        await kill_subscriptions(redis_server)
        await asyncio.gather(reading, pubsub.subscribe("b"), return_exceptions=True)
        assert Slow.made == 3, "one connection took the place of the cut one: the race is gone"
    await pool.aclose()
    gc.collect()


async def test_subscribers_during_reconnect_share_one_connection(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url) as node:
        await node.broker.subscribe(1)
        for round_ in range(10):
            await kill_subscriptions(redis_server)
            await asyncio.gather(*(node.broker.subscribe(100 * round_ + chat) for chat in range(2, 50)))
            await eventually(lambda round_=round_: node.happened.count("reconnected") == round_ + 1)  # type: ignore[misc]
            await eventually(lambda: not node.broker.deaf)
            async with redis.asyncio.Redis(port=redis_server.port) as client:
                assert len(await client.client_list(_type="pubsub")) == 1
        node.broker.publish(1, b"x")
        node.broker.publish(949, b"y")
        await eventually(lambda: node.ear.heard[-2:] == [(1, b"x"), (949, b"y")])
