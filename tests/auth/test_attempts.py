"""Login limits: one contract for the local ones and those in Redis, and what differs."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from auth.attempts import PER_ACCOUNT, PER_ADDRESS, WINDOW_S, LocalLoginLimits, LoginLimits, limits_on
from auth.shared_attempts import TIMEOUT_S, SharedLoginLimits
from tests.auth.fakes import Clock
from tests.servers import RedisServer


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture(params=["local", "redis"])
def limits(request: pytest.FixtureRequest) -> LoginLimits:
    if request.param == "local":
        return LocalLoginLimits()
    return SharedLoginLimits(request.getfixturevalue("redis"))


async def fail_times(limits: LoginLimits, times: int, account: str = "ann", address: str = "10.0.0.1") -> list[float]:
    return [await limits.fail(account, address) for _ in range(times)]


async def test_failures_of_an_account_are_limited_from_wherever_they_come(limits: LoginLimits) -> None:
    waits = [await limits.fail("ann", f"10.0.0.{n}") for n in range(PER_ACCOUNT)]
    assert waits == [0.0] * PER_ACCOUNT
    assert 0 < await limits.wait_s("ANN", "10.9.9.9") <= WINDOW_S
    assert 0 < await limits.fail("ann", "10.9.9.9") <= WINDOW_S
    assert await limits.wait_s("bob", "10.0.0.1") == 0.0


async def test_failures_from_an_address_are_limited_whatever_the_account(limits: LoginLimits) -> None:
    waits = [await limits.fail(f"user{n}", "10.0.0.1") for n in range(20)]
    assert waits[:PER_ADDRESS] == [0.0] * PER_ADDRESS
    assert 0 < waits[19] <= WINDOW_S, "the 20th failure in a minute is refused"
    assert await limits.wait_s("user1", "10.0.0.2") == 0.0


async def test_an_ipv6_client_is_its_whole_network(limits: LoginLimits) -> None:
    for n in range(PER_ADDRESS):
        await limits.fail(f"user{n}", f"2001:db8:0:1::{n:x}")
    assert await limits.wait_s("another", "2001:db8:0:1:ffff::1") > 0
    assert await limits.wait_s("another", "2001:db8:0:2::1") == 0.0


async def test_asking_counts_nothing(limits: LoginLimits) -> None:
    for _ in range(50):
        assert await limits.wait_s("ann", "10.0.0.1") == 0.0


async def test_of_failures_that_race_no_more_than_the_limit_pass(limits: LoginLimits) -> None:
    waits = await asyncio.gather(*(limits.fail("ann", "10.0.0.1") for _ in range(60)))
    assert waits.count(0.0) == PER_ACCOUNT


async def test_a_strange_address_or_login_is_limited_like_any_other(limits: LoginLimits) -> None:
    await fail_times(limits, PER_ACCOUNT, account="x" * 10_000 + "é\x00\n", address="unknown")
    assert await limits.wait_s("x" * 10_000 + "é\x00\n", "testclient") > 0


def test_a_key_quotes_no_login_and_has_a_bounded_size() -> None:
    account, address = limits_on("secret-login" * 1000, "10.0.0.1")
    assert "secret" not in account.key
    assert len(account.key) < 50
    assert address.key == "address:10.0.0.1"


async def test_nobody_is_locked_out_for_longer_than_a_minute_however_hard_he_tries() -> None:
    clock = Clock()
    limits = LocalLoginLimits(clock.unix)
    await fail_times(limits, PER_ACCOUNT)
    for _ in range(int(WINDOW_S) - 1):
        clock.advance(1)
        assert await limits.fail("ann", "10.0.0.1") > 0
    clock.advance(1)
    assert await limits.wait_s("ann", "10.0.0.1") == 0.0


async def test_the_local_window_slides() -> None:
    clock = Clock()
    limits = LocalLoginLimits(clock.unix)
    await limits.fail("ann", "10.0.0.1")
    clock.advance(WINDOW_S - 1)
    await fail_times(limits, PER_ACCOUNT - 1)
    assert await limits.wait_s("ann", "10.0.0.1") == pytest.approx(1)
    clock.advance(1)
    assert await fail_times(limits, 2) == [0.0, pytest.approx(WINDOW_S - 1)]


async def test_local_limits_forget_the_least_recent_when_they_are_full() -> None:
    limits = LocalLoginLimits(most_keys=20)
    for n in range(200):
        await limits.fail(f"user{n}", f"10.0.{n}.1")
    await fail_times(limits, PER_ACCOUNT, "ann")
    assert len(limits._failures) == 20
    assert await limits.wait_s("ann", "10.1.1.1") > 0


async def test_shared_limits_hold_over_processes(redis: Redis) -> None:
    one, two = SharedLoginLimits(redis), SharedLoginLimits(redis)
    await fail_times(one, PER_ACCOUNT // 2)
    await fail_times(two, PER_ACCOUNT - PER_ACCOUNT // 2)
    assert await one.wait_s("ann", "10.5.5.5") > 0
    assert await two.wait_s("ann", "10.5.5.5") > 0


async def test_shared_limits_leave_nothing_behind_and_use_redis_own_clock(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auth.shared_attempts.WINDOW_S", 0.2)
    limits = SharedLoginLimits(redis)
    await fail_times(limits, PER_ACCOUNT)
    assert 0 < await limits.wait_s("ann", "10.0.0.1") <= 0.2
    assert len(await redis.keys("*")) == 2
    async with asyncio.timeout(5):
        while await limits.wait_s("ann", "10.0.0.1"):
            await asyncio.sleep(0.01)
        while await redis.keys("*"):
            await asyncio.sleep(0.01)


async def test_without_redis_the_local_limits_decide_within_a_bound(redis_server: RedisServer, redis: Redis) -> None:
    limits = SharedLoginLimits(redis)
    await fail_times(limits, 3)
    redis_server.pause()
    try:
        async with asyncio.timeout(TIMEOUT_S * 2 + 2):
            assert await limits.wait_s("ann", "10.0.0.1") == 0.0
            assert await limits.fail("ann", "10.0.0.1") == 0.0
    finally:
        redis_server.resume()
    redis_server.kill()
    waits = await fail_times(limits, PER_ACCOUNT)
    assert waits[PER_ACCOUNT - 4 - 1] == 0.0
    assert waits[-1] > 0, "the failures before the outage count too"
    redis_server.restart()
    assert await limits.wait_s("ann", "10.0.0.1") == 0.0, "Redis decides again, and knows nothing"
