"""Token buckets of callers: exact over all nodes, and a node's own while Redis is unreachable."""

import asyncio
import math
import time

import pytest
import redis

from gateway.interfaces.rate_limits import Exhausted, Take
from gateway.redis import caller_buckets, known_refusals
from gateway.redis.caller_buckets import MAX_LOCAL_BUCKETS, LocalBuckets, RedisBuckets
from gateway.redis.known_refusals import KnownRefusals
from tests.gateway.redis.layout_nodes import node as layout_node
from tests.gateway.redis.nodes import open_node
from tests.support.machine_speed import slowness
from tests.support.servers import RedisServer
from tests.support.waiting import eventually


def rows(amount: int, per_minute: int = 10) -> list[Take]:
    return [Take("requests", 1, 1000), Take("rows", amount, per_minute)]


async def test_buckets_are_exact_over_concurrent_nodes(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # 1,250 calls at once can take longer on a slow machine; a node's own buckets answer then, which others test.
    monkeypatch.setattr(caller_buckets, "ANSWER_S", 30.0)
    async with open_node(redis_url, "a") as a, open_node(redis_url, "b") as b:
        nodes = RedisBuckets(a.link), RedisBuckets(b.link)
        for size in (7, 10, 1200):
            takes, started = [Take("rows", 1, size)], time.monotonic()
            answers = await asyncio.gather(*(nodes[i % 2].take(f"caller {size}", takes) for i in range(size + 50)))
            refilled = math.ceil((time.monotonic() - started) * size / 60)
            refused = [answer for answer in answers if answer is not None]
            assert {answer.bucket for answer in refused} == {"rows"}
            assert 50 - refilled <= len(refused) <= 50
            assert all(0 < answer.retry_after_s <= 60 / size for answer in refused)


async def test_call_takes_from_all_buckets_or_none(redis_url: str) -> None:
    async with open_node(redis_url) as node:
        buckets = RedisBuckets(node.link)
        one = [Take("requests", 1, 3)]
        both = [*one, Take("rows", 8, 10)]
        assert await buckets.take("ann", both) is None
        refused = await buckets.take("ann", both)
        assert refused is not None
        assert refused.bucket == "rows"
        assert 30 < refused.retry_after_s <= 36
        assert [await buckets.take("ann", one) for _ in range(2)] == [None, None]
        empty = await buckets.take("ann", one)
        assert empty is not None
        assert empty.bucket == "requests"
        assert await buckets.take("bob", both) is None


async def test_bucket_refills_evenly_and_its_key_expires(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url) as node:
        buckets = RedisBuckets(node.link)
        takes = [Take("requests", 600, 600)]
        assert await buckets.take("ann", takes) is None
        assert await buckets.take("ann", [Take("requests", 600, 600)]) is not None
        await asyncio.sleep(0.2)
        assert await buckets.take("ann", [Take("requests", 1, 600)]) is None
        with redis.Redis(port=redis_server.port) as client:
            assert 0 < client.pttl("calls:ann") <= 60_000
            client.hset("calls:ann", "requests", 10**17)  # by a clock far ahead
        refused = await buckets.take("ann", [Take("requests", 1, 600)])
        assert refused is not None
        assert refused.retry_after_s <= 1


async def test_caller_that_does_not_wait_costs_redis_nothing(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url) as node:
        buckets = RedisBuckets(node.link)
        assert await buckets.take("ann", rows(10)) is None
        assert buckets.known_refusal("ann", rows(4)) is None
        asked = await buckets.take("ann", rows(4))
        with redis.Redis(port=redis_server.port) as client:
            client.delete("calls:ann")
        known = await buckets.take("ann", rows(5))
        assert asked is not None
        assert known is not None
        assert 0 < known.retry_after_s < asked.retry_after_s
        assert known.bucket == asked.bucket == "rows"
        assert buckets.known_refusal("ann", [Take("rows", 4, 10)]) is not None
        assert await buckets.take("ann", [Take("requests", 1, 1000)]) is None, "of another bucket"
        assert await buckets.take("ann", rows(1)) is None, "of less"


async def test_known_refusal_ends_when_the_bucket_has_refilled(redis_url: str) -> None:
    async with open_node(redis_url) as node:
        buckets = RedisBuckets(node.link)
        assert await buckets.take("ann", [Take("rows", 600, 600)]) is None
        assert await buckets.take("ann", [Take("rows", 1, 600)]) is not None
        await eventually(lambda: buckets.known_refusal("ann", [Take("rows", 1, 600)]) is None)
        assert await buckets.take("ann", [Take("rows", 1, 600)]) is None


def test_known_refusals_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_refusals, "MAX_KNOWN", 2)
    known = KnownRefusals()
    for caller in ("ann", "bob", "cat"):
        known.note(caller, rows(1), Exhausted("rows", 5.0))
    assert [known.find(caller, rows(1)) is None for caller in ("ann", "bob", "cat")] == [True, False, False]


async def test_node_counts_itself_while_redis_is_down(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url) as node:
        buckets = RedisBuckets(node.link)
        redis_server.kill()
        await eventually(lambda: node.broker.down)
        assert [await buckets.take("ann", rows(5)) for _ in range(2)] == [None, None]
        refused = await buckets.take("ann", rows(5))
        assert refused is not None
        assert refused.bucket == "rows"
        assert await buckets.take("bob", rows(10)) is None
        redis_server.start()
        await eventually(lambda: not node.broker.down)
        assert await buckets.take("ann", rows(10)) is None


async def test_silent_redis_delays_a_caller_only_briefly(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url) as node:
        buckets = RedisBuckets(node.link)
        redis_server.pause()
        try:
            async with asyncio.timeout(2 * (0.25 + 0.5 * slowness())):
                assert [await buckets.take("ann", rows(10)) is None for _ in range(2)] == [True, False]
        finally:
            redis_server.resume()


async def test_every_caller_has_one_shard(redis_servers: list[RedisServer]) -> None:
    url = ",".join(server.url for server in redis_servers)
    async with layout_node(url, "a") as a, layout_node(url, "b") as b:
        for number in range(10):
            caller = f"user:{number}"
            answers = [await half.rooms.caller_buckets.take(caller, rows(4)) for half in (a, b, a)]
            assert answers[:2] == [None, None]
            assert isinstance(answers[2], Exhausted)


def test_local_bucket_refills_with_time() -> None:
    now = 5.0
    buckets = LocalBuckets(lambda: now)
    assert buckets.take("ann", rows(10)) is None
    assert buckets.take("ann", rows(1)) == Exhausted("rows", 6.0)
    now = 11.0
    assert buckets.take("ann", rows(1)) is None
    assert buckets.take("ann", rows(2)) == Exhausted("rows", 12.0)
    now = 1000.0
    assert buckets.take("ann", rows(10)) is None


def test_local_buckets_forget_the_least_recent_callers() -> None:
    buckets = LocalBuckets(lambda: 0.0)
    for number in range(MAX_LOCAL_BUCKETS // len(rows(1))):
        buckets.take(str(number), rows(10))
    assert buckets.take("0", rows(1)) is not None
    buckets.take("new", rows(10))
    assert buckets.take("0", rows(1)) is not None, "asked for most recently"
    assert buckets.take("1", rows(10)) is None, "forgotten"
