"""The reports of replicas on a real Redis: each writes its own, all are read, and old ones end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from gateway.protocol.replica_report import Report
from gateway.redis.connection.command_client import CommandClient
from gateway.redis.replicas import KEY, RedisReplicas
from gateway.tasks import Tasks
from tests.gateway.redis.layout_nodes import node
from tests.support.servers import RedisServer
from tests.support.waiting import eventually, eventually_async

REPORT = Report(
    replica="a",
    pid=1,
    version="1",
    state="ready",
    dependencies={"redis": True},
    started_at=1_750_000_000,
    connections=3,
    seats=2,
    stored_per_s=1.5,
    delivered_per_s=3.0,
    delivery_lag_ms=None,
    loop_lag_ms=0.2,
    gaps=1,
    repaired_events=12,
)


@asynccontextmanager
async def link(url: str) -> AsyncIterator[CommandClient]:
    client, tasks = CommandClient(url), Tasks()
    tasks.spawn(client.run(), "redis link")
    try:
        await eventually(lambda: client.is_up)
        yield client
    finally:
        await tasks.close()


async def test_last_report_of_each_replica_is_read(redis_url: str) -> None:
    async with link(redis_url) as a, link(redis_url) as b:
        newer = msgspec.structs.replace(REPORT, connections=4)
        other = msgspec.structs.replace(REPORT, replica="b")
        for report in (REPORT, newer, other):
            await RedisReplicas(a).put(report)
        await b.call("HSET", KEY, "of another version", f"{2**52} " + '{"replica": 1}')
        await b.call("HSET", KEY, "long gone", "1 " + msgspec.json.encode(REPORT).decode())
        seen = await RedisReplicas(b).all()
        assert sorted((one.report for one in seen), key=lambda one: one.replica) == [newer, other]
        assert all(0 <= one.age_s < 60 for one in seen)
        assert await a.call("HEXISTS", KEY, "long gone") == 0
        assert 0 < await a.call("PTTL", KEY) <= 6000


async def test_reports_are_read_while_a_shard_is_dead(redis_servers: list[RedisServer]) -> None:
    url = ",".join(server.url for server in redis_servers)
    async with node(url, "a") as a, node(url, "b") as b:
        redis_servers[0].kill()
        await eventually(lambda: a.rooms.broker.down and b.rooms.broker.down)
        await a.rooms.replicas.put(REPORT)

        async def is_seen() -> bool:
            return [one.report for one in await b.rooms.replicas.all()] == [REPORT]

        await eventually_async(is_seen)
