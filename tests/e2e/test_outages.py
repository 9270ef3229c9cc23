"""Service during outages of Redis or the database, and recovery without intervention."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.eventually import soon
from tests.support.cluster import Cluster, run_cluster
from tests.support.machine_speed import slowness
from tests.support.native_client import native
from tests.support.servers import PostgresServer, RedisServer


@pytest.fixture
async def cluster(tmp_path: Path, redis_server: RedisServer, database_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_server.url, database_url) as cluster:
        yield cluster


@pytest.mark.parametrize("fault", ["killed", "frozen"])
async def test_redis_outage_keeps_storing_delivering_and_limiting(
    cluster: Cluster, redis_server: RedisServer, fault: str
) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    left, right = await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)
    await left.say("before")
    redis_server.kill() if fault == "killed" else redis_server.pause()
    try:
        for number in range(10):
            started = time.monotonic()
            await left.say(f"during {number}")
            assert time.monotonic() - started < 2.5 * slowness(), "once, the silence has to be noticed"
        # Other nodes find it in the store.
        await right.until(lambda _: len(right.seqs) == 11, timeout_s=10)
        # Nobody can count over all nodes, so each one counts for itself.
        await left.send(type="message", text="too much")
        error = await left.next("error")
        assert (error["code"], error["retry_after_s"] > 0) == ("rate_limited", True)
        await soon(cluster, redis="down")
        late = await cluster.enter(1, chat, ann, since=5)
        assert (await late.next("caught_up"))["seq"] == 11
    finally:
        redis_server.start() if fault == "killed" else redis_server.resume()
    started = time.monotonic()
    await soon(cluster)
    await right.say("after")
    await late.until(lambda _: 12 in late.seqs, timeout_s=5)
    assert right.seqs == list(range(1, 13))
    assert time.monotonic() - started < 10 * slowness()


async def test_database_outage_keeps_sockets_and_cached_history(
    tmp_path: Path, redis_url: str, postgres_url: str, postgres_server: PostgresServer
) -> None:
    async with run_cluster(tmp_path, redis_url, postgres_url, MESSAGES_PER_MINUTE=0) as cluster:
        ann, bob = await cluster.user("ann"), await cluster.user("bob")
        chat = await cluster.chat(ann, bob)
        left, right = await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)
        many = await native(cluster, 1, bob)
        await many.ack("subscribe", chat_id=chat)
        for number in range(20):
            await left.say(f"{number}")
        await many.until(lambda _: many.seqs == list(range(1, 21)))
        postgres_server.kill()
        try:
            await left.send(type="message", text="lost?", client_msg_id="retry me")
            error = await left.next("error")
            assert (error["code"], error["retry_after_s"]) == ("unavailable", 1)
            await soon(cluster, database="down")
            # What needs no store goes on; what memory has is read, forward, on either kind of socket.
            await left.send(type="typing", is_typing=True)
            await right.next("typing")
            await right.send(type="history", after_seq=4, limit=10)
            page = await right.next("history")
            assert [message["seq"] for message in page["messages"]] == list(range(5, 15))
            answer = await many.ack("history", chat_id=chat, after_seq=15)
            assert [message["seq"] for message in answer["result"]["messages"]] == list(range(16, 21))
            before = len(many.seqs)
            await many.ack("subscribe", chat_id=chat, since=12)
            caught_up = await many.next("caught_up")
            assert (caught_up["seq"], many.seqs[before:]) == (20, list(range(13, 21)))
            # What it has not is refused, and the socket lives.
            await right.send(type="history", before_seq=3)
            assert (await right.next("error"))["code"] == "unavailable"
            async with httpx.AsyncClient(headers=ann.headers | {"Idempotency-Key": "http"}) as http:
                url = f"{cluster.nodes[0].url}/api/v1/chats/{chat}/messages"
                refused = await http.post(url, json={"text": "no"}, timeout=20)
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
            assert int(refused.headers["retry-after"]) >= 1
        finally:
            postgres_server.start()
        await soon(cluster, within_s=15)
        # The same id again, on another node: stored once, whatever had become of the first try.
        async with asyncio.timeout(10):
            again = await native(cluster, 1, ann)
            first = await again.ack("message", chat_id=chat, text="lost?", client_msg_id="retry me")
        await right.until(lambda _: bool(right.seqs) and right.seqs[-1] == first["seq"], timeout_s=5)
        assert right.seqs == list(range(1, 22))
        assert all(client.socket.close_code is None for client in (left, right, many))
