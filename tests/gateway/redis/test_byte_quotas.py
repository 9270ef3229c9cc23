"""The quotas of bytes in an hour: one bucket over all nodes, and a local one while Redis is unreachable."""

import asyncio

import redis

from gateway.errors import RedisUnavailable
from gateway.interfaces.rate_limits import QUOTA_WINDOW_S, RateLimited
from gateway.redis.byte_quotas import LocalByteBuckets, RedisByteQuotas
from tests.gateway.redis.nodes import open_node
from tests.support.servers import RedisServer
from tests.support.waiting import eventually

SIZE = 1_000_000


def taken(answer: int | RateLimited) -> int:
    assert not isinstance(answer, RateLimited), answer
    return answer


async def test_bucket_is_one_over_two_nodes(redis_url: str) -> None:
    async with open_node(redis_url, "a") as a, open_node(redis_url, "b") as b:
        quotas = RedisByteQuotas(a.link), RedisByteQuotas(b.link)
        answers = await asyncio.gather(*(quotas[n % 2].take("one", 10_000, 30_000, SIZE) for n in range(50)))
        total = sum(answer for answer in answers if isinstance(answer, int))
        refused = [answer for answer in answers if isinstance(answer, RateLimited)]
        assert SIZE - 10_000 < total <= SIZE + 2_000  # refilled meanwhile
        assert refused
        assert all(0 < answer.retry_after_s <= 36.1 for answer in refused)
        assert taken(await quotas[0].take("other", 1, 500, SIZE)) == 500


async def test_bytes_given_back_can_be_taken_again(redis_url: str) -> None:
    async with open_node(redis_url) as node:
        quotas = RedisByteQuotas(node.link)
        assert taken(await quotas.take("one", SIZE, SIZE, SIZE)) == SIZE
        assert isinstance(await quotas.take("one", SIZE // 2, SIZE, SIZE), RateLimited)
        await quotas.give_back("one", SIZE // 2, SIZE)
        assert taken(await quotas.take("one", SIZE // 2, SIZE // 2, SIZE)) == SIZE // 2
        await quotas.give_back("two", 10 * SIZE, SIZE)
        assert taken(await quotas.take("two", 0, 10 * SIZE, SIZE)) <= SIZE, "a bucket never holds more than its size"


async def test_key_expires_when_its_bucket_is_full(redis_server: RedisServer) -> None:
    async with open_node(redis_server.url) as node:
        quotas = RedisByteQuotas(node.link)
        await quotas.take("half", SIZE // 2, SIZE // 2, SIZE)
        await quotas.take("check", 100, 0, SIZE)
        with redis.Redis(port=redis_server.port) as client:
            (half,) = client.keys("*quota:half")
            assert QUOTA_WINDOW_S / 2 - 60 < client.ttl(half) <= QUOTA_WINDOW_S / 2 + 1
            await eventually(lambda: client.keys("*quota:check") == [])


async def test_node_has_its_own_bucket_while_redis_is_down() -> None:
    class Away:
        async def run_script(self, *_: object) -> int:
            raise RedisUnavailable

    link: object = Away()
    quotas = RedisByteQuotas(link)  # type: ignore[arg-type]
    assert taken(await quotas.take("one", SIZE, SIZE, SIZE)) == SIZE
    assert isinstance(await quotas.take("one", 1_000, SIZE, SIZE), RateLimited)
    await quotas.give_back("one", SIZE // 2, SIZE)
    assert taken(await quotas.take("one", 1, SIZE // 2, SIZE)) == SIZE // 2


def test_local_bucket_refills_evenly() -> None:
    now = 0.0
    buckets = LocalByteBuckets(lambda: now)
    assert taken(buckets.take("one", 1, 2 * SIZE, SIZE)) == SIZE
    now = QUOTA_WINDOW_S / 2
    refused = buckets.take("one", SIZE * 3 // 4, SIZE, SIZE)
    assert isinstance(refused, RateLimited)
    assert abs(refused.retry_after_s - QUOTA_WINDOW_S / 4) < 1
    assert abs(taken(buckets.take("one", 1, SIZE, SIZE)) - SIZE // 2) <= 1
