"""Two nodes over a Redis that fails over: acknowledged messages are delivered and the demoted server is not used."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis

from tests.e2e.eventually import soon
from tests.support.cluster import Cluster, run_cluster
from tests.support.sentinels import RedisTrio
from tests.support.servers import RedisServer

MESSAGES = 20


@pytest.fixture
async def trio(tmp_path: Path) -> AsyncIterator[RedisTrio]:
    trio = RedisTrio.local(tmp_path / "redis")
    try:
        await asyncio.to_thread(trio.start)
        await trio.whole()
        yield trio
    finally:
        trio.stop()


@pytest.fixture
async def cluster(tmp_path: Path, trio: RedisTrio, sqlite_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, trio.url, sqlite_url, MESSAGES_PER_MINUTE=0) as cluster:
        yield cluster


def users_of(server: RedisServer) -> list[str]:
    """The connections that are not Sentinels', replicas' or ours."""
    with redis.Redis(port=server.port) as link:
        clients = [*link.client_list(_type="normal"), *link.client_list(_type="pubsub")]
        return [
            c["addr"] for c in clients if not c["name"].startswith("sentinel-") and c["id"] != str(link.client_id())
        ]


async def role_of(server: RedisServer, role: str) -> None:
    async with asyncio.timeout(20):
        with redis.Redis(port=server.port) as link:
            while link.info("replication")["role"] != role:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("how", ["killed", "ordered"])
async def test_redis_failover_loses_nothing_without_intervention(cluster: Cluster, trio: RedisTrio, how: str) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    left, right = await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)
    old = await trio.master()
    assert len(users_of(old)) >= 4, "each node has a command link and a subscription"
    for number in range(MESSAGES):
        if number == MESSAGES // 4:
            if how == "killed":
                old.kill()
            failover = asyncio.create_task(trio.failed_over(old) if how == "killed" else trio.order_failover(old))
        await left.say(f"{number}")
    new = await failover
    await role_of(new, "master")
    await soon(cluster, within_s=15)
    await left.say("after")
    await right.until(lambda _: len(right.seqs) == MESSAGES + 1)
    assert right.seqs == list(range(1, MESSAGES + 2))
    if how == "ordered":
        await role_of(old, "slave")
        async with asyncio.timeout(10):
            while users_of(old) or len(users_of(new)) < 4:
                await asyncio.sleep(0.05)
    # What one node publishes now the other hears, through the new master: it need not look into the store.
    with redis.Redis(port=new.port) as link, link.pubsub() as ear:
        ear.psubscribe(f"*:chat:{chat}")
        await right.say("heard")
        async with asyncio.timeout(5):
            while (said := ear.get_message(ignore_subscribe_messages=True)) is None:
                await asyncio.sleep(0.05)
        assert b"heard" in said["data"]
    await left.until(lambda _: left.seqs == list(range(1, MESSAGES + 3)))
