"""Processes with different Redis lists, or different stores with the same prefix, detect each other."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import redis

from gateway.redis.backend import Backend, RedisEvents, open_redis
from gateway.redis.namespace import Namespace
from gateway.redis.peers import Peers
from tests.gateway.redis.nodes import NAMES, Ear
from tests.support.servers import RedisServer
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Peers.__init__, "__kwdefaults__", {"interval_s": 0.1})


@asynccontextmanager
async def node(name: str, *servers: RedisServer, names: Namespace = NAMES) -> AsyncIterator[Backend]:
    url, ear = ",".join(server.url for server in servers), Ear()
    async with open_redis(url, names, name, messages_per_minute=0, events=lambda _: RedisEvents()) as rooms:
        rooms.start(ear, ear)
        await eventually(lambda: not rooms.broker.down and not rooms.broker.deaf)
        yield rooms


async def test_same_list_is_no_difference(redis_servers: list[RedisServer]) -> None:
    async with node("a", *redis_servers) as a, node("b", *redis_servers) as b:
        await eventually(lambda: _is_known(redis_servers[0], b"a", b"b"))
        assert a.differences() == b.differences() == []
        assert a.differing == b.differing == 0


async def test_other_order_is_reported_on_both_nodes(
    redis_servers: list[RedisServer], caplog: pytest.LogCaptureFixture
) -> None:
    one, two, _ = redis_servers
    async with node("a", one, two) as a, node("b", two, one) as b:
        await eventually(lambda: a.differing == b.differing == 2)
        assert a.differences() == [f"REDIS_URL of b has as {n} of 2 what is {3 - n} of 2 here" for n in (1, 2)]
        records = [record for record in caplog.records if record.getMessage() == "redis_peer_differs"]
        assert len(records) == 4  # each of the two at each Redis, once
        assert {record.levelno for record in records} == {logging.ERROR}


async def test_other_length_is_reported(redis_servers: list[RedisServer]) -> None:
    async with node("a", *redis_servers[:2]) as a, node("b", *redis_servers) as b:
        await eventually(lambda: a.differing == b.differing == 2)
        assert a.differences()[0] == "REDIS_URL of b has as 1 of 3 what is 1 of 2 here"


async def test_other_store_under_same_prefix_is_reported(redis_server: RedisServer) -> None:
    theirs = Namespace("another", "test")
    async with node("a", redis_server) as a, node("b", redis_server, names=theirs) as b:
        await eventually(lambda: a.differing == b.differing == 1)
        assert a.differences() == ["b uses the same REDIS_PREFIX for another store"]


def _is_known(server: RedisServer, *names: bytes) -> bool:

    with redis.Redis.from_url(server.url) as client:
        return set(names) <= set(client.hkeys("test:peers"))
