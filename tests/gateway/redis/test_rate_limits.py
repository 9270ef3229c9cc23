"""The rate limit per minute: exact over all nodes, and local while Redis is unreachable."""

import asyncio
from collections import Counter

import pytest
import redis

from gateway.interfaces.rate_limits import WINDOW_S, Admitted, RateLimited
from gateway.redis.rate_limits import LocalWindows
from tests.gateway.redis.nodes import open_node
from tests.support.machine_speed import slowness
from tests.support.servers import RedisServer
from tests.support.waiting import eventually


async def test_limit_is_exact_over_two_concurrent_nodes(redis_url: str) -> None:
    async with open_node(redis_url, "a") as a, open_node(redis_url, "b") as b:
        answers = await asyncio.gather(
            *((a, b)[i % 2].limits.admit(user_id, f"1:{i}") for i in range(40) for user_id in (1, 2, 3))
        )
    assert Counter(type(answer) for answer in answers) == {Admitted: 30, RateLimited: 90}
    waits = [answer.retry_after_s for answer in answers if isinstance(answer, RateLimited)]
    assert all(WINDOW_S - 5 < wait <= WINDOW_S for wait in waits)


async def test_retry_is_counted_once_and_never_rejected(redis_url: str) -> None:
    async with open_node(redis_url, "a") as a, open_node(redis_url, "b") as b:
        for number in range(10):
            assert await a.limits.admit(1, f"1:{number}") == Admitted(is_new=True)
        for number in range(10):
            assert await b.limits.admit(1, f"1:{number}") == Admitted(is_new=False)
        assert isinstance(await b.limits.admit(1, "1:new"), RateLimited)


async def test_forget_frees_the_place(redis_url: str) -> None:
    async with open_node(redis_url) as node:
        for number in range(10):
            await node.limits.admit(1, f"1:{number}")
        node.limits.forget(1, "1:3")
        assert await node.limits.admit(1, "1:new") == Admitted(is_new=True)
        assert isinstance(await node.limits.admit(1, "1:newer"), RateLimited)


async def test_place_is_free_only_after_the_window(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url) as node:
        for number in range(10):
            await node.limits.admit(1, f"1:{number}")
        with redis.Redis(port=redis_server.port) as client:
            key = "limit:1"
            oldest = f"1:{0}"
            client.zincrby(key, -(WINDOW_S - 0.2) * 1_000_000, oldest)
            answer = await node.limits.admit(1, "1:new")
            assert isinstance(answer, RateLimited)
            assert 0 < answer.retry_after_s <= 0.2
            await asyncio.sleep(answer.retry_after_s)
            assert await node.limits.admit(1, "1:new") == Admitted(is_new=True)
            assert isinstance(await node.limits.admit(1, "1:newer"), RateLimited)


async def test_limiter_keys_expire_with_their_window(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url) as node:
        await node.limits.admit(1, "1:x")
        with redis.Redis(port=redis_server.port) as client:
            assert 0 < client.pttl("limit:1") <= WINDOW_S * 1000


async def test_limit_of_zero_admits_everything(redis_url: str) -> None:
    async with open_node(redis_url, limit=0) as node:
        assert [
            answer for i in range(50) if isinstance(answer := await node.limits.admit(1, str(i)), RateLimited)
        ] == []
        at_once: list[object] = []
        node.limits.decide(1, "x", at_once.append)
        assert at_once == [Admitted(is_new=False)]


async def test_redis_outage_falls_back_to_local_limit_at_once(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url) as node:
        redis_server.kill()
        await eventually(lambda: node.broker.down)
        async with asyncio.timeout(0.5 * slowness()):
            answers = [await node.limits.admit(1, str(i)) for i in range(30)]
        assert Counter(type(answer) for answer in answers) == {Admitted: 10, RateLimited: 20}
        node.limits.forget(1, "0")
        assert await node.limits.admit(1, "new") == Admitted(is_new=True)
        redis_server.start()
        await eventually(lambda: not node.broker.down)
        assert await node.limits.admit(2, "x") == Admitted(is_new=True)
        with redis.Redis(port=redis_server.port) as client:
            assert client.zcard("limit:2") == 1


async def test_frozen_redis_delays_message_by_at_most_a_second(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url) as node:
        redis_server.pause()
        try:
            async with asyncio.timeout(1 + 0.6 * slowness()):
                assert await node.limits.admit(1, "x") == Admitted(is_new=True)
            async with asyncio.timeout(0.5 * slowness()):
                assert await node.limits.admit(1, "y") == Admitted(is_new=True)
        finally:
            redis_server.resume()


async def test_limit_counts_exactly_again_after_flush(redis_server: RedisServer) -> None:
    """Evicted or flushed counts are lost: a user may have at most twice the limit in that minute."""
    async with open_node(redis_server.url) as node:
        for attempt in ("before", "after"):
            with redis.Redis(port=redis_server.port) as client:
                client.flushall()
            for number in range(10):
                assert await node.limits.admit(1, f"1:{attempt} {number}") == Admitted(is_new=True)
            assert isinstance(await node.limits.admit(1, f"1:{attempt} too much"), RateLimited)
        assert await node.limits.admit(1, "1:after 0") == Admitted(is_new=False)


async def test_flushed_scripts_are_loaded_again(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url) as node:
        await node.limits.admit(1, "x")
        with redis.Redis(port=redis_server.port) as client:
            client.script_flush()
        assert await node.limits.admit(1, "y") == Admitted(is_new=True)


async def test_decision_by_a_limit_follows_the_call_and_may_raise(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    decisions: list[Admitted | RateLimited] = []

    def decided(decision: Admitted | RateLimited) -> None:
        decisions.append(decision)
        raise ValueError

    async with open_node(redis_server.url) as node:
        node.limits.decide(1, "x", decided)
        assert decisions == []
        assert await node.limits.admit(1, "x") == Admitted(is_new=False)  # the connection serves others
        assert decisions == [Admitted(is_new=True)]
        assert [record.message for record in caplog.records] == ["callback_failed"]
        redis_server.kill()
        await eventually(lambda: node.broker.down)
        waiting: asyncio.Future[Admitted | RateLimited] = asyncio.get_running_loop().create_future()
        node.limits.decide(1, "y", waiting.set_result)
        assert not waiting.done()
        assert isinstance(await waiting, Admitted)


def test_local_window_slides() -> None:
    now = 0.0
    windows = LocalWindows(2, lambda: now)
    assert windows.admit(1, "a") == Admitted(is_new=True)
    now = 30.0
    assert windows.admit(1, "b") == Admitted(is_new=True)
    assert windows.admit(1, "b") == Admitted(is_new=False)
    assert windows.admit(1, "c") == RateLimited(30.0)
    assert windows.admit(2, "c") == Admitted(is_new=True)
    now = 60.0
    assert windows.admit(1, "c") == Admitted(is_new=True)
    assert windows.admit(1, "d") == RateLimited(30.0)
