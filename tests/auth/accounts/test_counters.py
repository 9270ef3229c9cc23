"""Counters: one contract for the local ones and those in Redis, and their differences."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from auth.accounts import redis_counters
from auth.accounts.counters import MINUTE_S, Counters, Limit, LocalCounters
from auth.accounts.redis_counters import TIMEOUT_S, RedisCounters
from tests.auth.fakes import Clock
from tests.support.servers import RedisServer

MOST = 10
ANN = Limit("ann", MOST)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(params=["local", "redis"])
def counters(request: pytest.FixtureRequest) -> Counters:
    if request.param == "local":
        return LocalCounters()
    return RedisCounters(request.getfixturevalue("redis"), prefix="test:")


async def count(counters: Counters, times: int, limit: Limit = ANN) -> list[float]:
    return [await counters.count(limit) for _ in range(times)]


async def test_limit_refuses_what_exceeds_it(counters: Counters) -> None:
    assert await count(counters, MOST) == [0.0] * MOST
    assert 0 < await counters.wait_s(ANN) <= MINUTE_S
    assert 0 < await counters.count(ANN) <= MINUTE_S
    assert await counters.wait_s(Limit("bob", MOST)) == 0.0


async def test_check_counts_nothing(counters: Counters) -> None:
    for _ in range(50):
        assert await counters.wait_s(ANN) == 0.0


async def test_concurrent_counts_stay_within_the_limit(counters: Counters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_counters, "TIMEOUT_S", 30.0)  # 60 connections at once, on a machine that may be busy
    waits = await asyncio.gather(*(counters.count(ANN) for _ in range(60)))
    assert waits.count(0.0) == MOST


async def test_local_window_slides() -> None:
    clock = Clock()
    counters = LocalCounters(clock.unix)
    await counters.count(ANN)
    clock.advance(MINUTE_S - 1)
    await count(counters, MOST - 1)
    assert await counters.wait_s(ANN) == pytest.approx(1)
    clock.advance(1)
    assert await count(counters, 2) == [0.0, pytest.approx(MINUTE_S - 1)]


async def test_refused_counts_prolong_no_wait() -> None:
    clock = Clock()
    counters = LocalCounters(clock.unix)
    await count(counters, MOST)
    for _ in range(int(MINUTE_S) - 1):
        clock.advance(1)
        assert await counters.count(ANN) > 0
    clock.advance(1)
    assert await counters.wait_s(ANN) == 0.0


async def test_full_local_counters_forget_the_least_recent() -> None:
    counters = LocalCounters(max_keys=20)
    for n in range(200):
        await counters.count(Limit(f"user{n}", MOST))
    await count(counters, MOST)
    assert len(counters._times) == 20
    assert await counters.wait_s(ANN) > 0


async def test_redis_counters_hold_over_processes(redis: Redis) -> None:
    one, two = RedisCounters(redis, prefix="test:"), RedisCounters(redis, prefix="test:")
    await count(one, MOST // 2)
    await count(two, MOST - MOST // 2)
    assert await one.wait_s(ANN) > 0
    assert await two.wait_s(ANN) > 0


async def test_redis_counters_expire_on_redis_clock(redis: Redis) -> None:
    counters = RedisCounters(redis, prefix="test:")
    brief = Limit("ann", MOST, 0.2)
    await count(counters, MOST, brief)
    assert 0 < await counters.wait_s(brief) <= 0.2
    assert len(await redis.keys("*")) == 1
    async with asyncio.timeout(5):
        while await counters.wait_s(brief):
            await asyncio.sleep(0.01)
        while await redis.keys("*"):
            await asyncio.sleep(0.01)


async def test_redis_outage_falls_back_to_local_counters_in_time(redis_server: RedisServer, redis: Redis) -> None:
    counters = RedisCounters(redis, prefix="test:")
    await count(counters, 3)
    redis_server.pause()
    try:
        async with asyncio.timeout(TIMEOUT_S * 2 + 2):
            assert await counters.wait_s(ANN) == 0.0
            assert await counters.count(ANN) == 0.0
    finally:
        redis_server.resume()
    redis_server.kill()
    waits = await count(counters, MOST)
    assert waits[MOST - 4 - 1] == 0.0
    assert waits[-1] > 0, "what was counted before the outage counts too"
    redis_server.restart()
    assert await counters.wait_s(ANN) == 0.0, "Redis decides again, and knows nothing"
