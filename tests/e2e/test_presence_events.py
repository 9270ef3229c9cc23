"""Users who come online and go are events, once over two nodes, with real Redis and both databases."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, run_cluster
from tests.support.native_client import native
from tests.support.receiver import SECRET, Receiver, run_receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with run_receiver() as receiver:
        yield receiver


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str, receiver: Receiver) -> AsyncIterator[Cluster]:
    hooks = [
        {"url": receiver.url, "secret": SECRET, "name": "presence", "events": ["user.online", "user.offline"]},
        {"url": "http://127.0.0.1:9/", "secret": SECRET, "name": "rest"},
    ]
    settings = {"WEBHOOKS": json.dumps(hooks), "WEBHOOK_ALLOW_PRIVATE": "true"}
    async with run_cluster(tmp_path, redis_url, database_url, **settings) as cluster:
        yield cluster


def told(receiver: Receiver) -> list[tuple[str, int]]:
    """Types and users, in order."""
    return [(event["type"], event["data"]["user_id"]) for event in receiver.events]


async def test_user_comes_and_goes_once_over_both_nodes(cluster: Cluster, receiver: Receiver) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    first, second = await native(cluster, 0, ann), await cluster.enter(1, chat, ann)
    (event,) = await receiver.count(1)
    assert event.keys() == {"id", "type", "occurred_at", "data"}
    assert (event["type"], event["data"]) == ("user.online", {"user_id": ann.id})
    assert f":user-{ann.id}:0." in event["id"]
    await second.close()
    await asyncio.sleep(7)
    await first.close()
    await asyncio.sleep(2)
    again = await native(cluster, 1, ann)  # within the linger
    await asyncio.sleep(7)
    assert told(receiver) == [("user.online", ann.id)]
    await again.close()
    left = datetime.now(UTC)
    event = (await receiver.count(2))[1]
    assert (event["type"], event["data"]["user_id"]) == ("user.offline", ann.id)
    assert abs(datetime.fromisoformat(event["data"]["last_seen_at"]) - left) < timedelta(seconds=3)
    await native(cluster, 0, ann)
    await receiver.count(3)
    assert told(receiver) == [(f"user.{what}", ann.id) for what in ("online", "offline", "online")]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
async def test_users_of_an_ended_node_go_unless_elsewhere(
    cluster: Cluster, receiver: Receiver, end: signal.Signals
) -> None:
    ann, bob, eve = [await cluster.user(name) for name in ("ann", "bob", "eve")]
    for user in (ann, bob, eve):
        await native(cluster, 1, user)
    await native(cluster, 0, ann)
    await receiver.count(3)
    os.kill(cluster.nodes[1].pid, end)
    await asyncio.to_thread(cluster.nodes[1].wait)
    await native(cluster, 0, eve)  # comes back elsewhere
    event = (await receiver.count(4, timeout_s=60))[3]
    assert (event["type"], event["data"]["user_id"]) == ("user.offline", bob.id)
    seen = datetime.fromisoformat(event["data"]["last_seen_at"])
    assert timedelta(seconds=15) < datetime.now(UTC) - seen < timedelta(seconds=60)
    await asyncio.sleep(3)
    assert len(told(receiver)) == 4
