"""Handshakes are counted over all nodes, whatever the layout of Redis; while it is away, nobody is locked out."""

import asyncio
from pathlib import Path

import pytest
import redis

from tests.gateway.redis.layout_nodes import node
from tests.support.machine_speed import slowness
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

RATE = 30
KEYS = ("address:192.0.2.1", "address:2001:db8::/64", "user:7")


@pytest.mark.parametrize("layout_url", ["one", "three", "cluster"], indirect=True)
async def test_rate_holds_over_two_nodes(layout_url: str, tmp_path: Path) -> None:
    async with node(layout_url, "a") as a, node(layout_url, "b") as b:
        for key in KEYS:
            rates = [half.rooms.handshake_rates for half in (a, b)]
            waits = await asyncio.gather(*(rates[n % 2].take(key, RATE) for n in range(2 * RATE)))
            assert RATE <= waits.count(0.0) <= RATE + 2 * slowness(), "two more in four seconds"
            assert all(0.0 <= wait_s <= 60 / RATE for wait_s in waits)


async def test_bucket_refills_evenly_and_expires(redis_server: RedisServer) -> None:
    async with node(redis_server.url, "a") as a:
        rates = a.rooms.handshake_rates
        assert [await rates.take("user:7", 1) == 0.0 for _ in range(2)] == [True, False]
        with redis.Redis(port=redis_server.port) as client:
            (key,) = client.keys("*handshakes:user:7")
            assert 0 < client.pttl(key) <= 60_000
            client.hincrby(key, "full", -59_900_000)
        wait_s = await rates.take("user:7", 1)
        assert wait_s <= 0.1
        await asyncio.sleep(wait_s + 0.02)
        assert await rates.take("user:7", 1) == 0.0
        assert 58 < await rates.take("user:7", 1) <= 60


async def test_redis_that_is_away_or_silent_allows_at_once(redis_server: RedisServer) -> None:
    async with node(redis_server.url, "a") as a:
        rates = a.rooms.handshake_rates
        assert [await rates.take("user:7", 1) == 0.0 for _ in range(2)] == [True, False]
        redis_server.pause()
        try:
            async with asyncio.timeout(0.25 + 0.5 * slowness()):
                assert await rates.take("user:7", 1) == 0.0
        finally:
            redis_server.resume()
        redis_server.kill()
        await eventually(lambda: a.rooms.broker.down)
        async with asyncio.timeout(0.2 * slowness()):
            assert await rates.take("user:7", 1) == 0.0
