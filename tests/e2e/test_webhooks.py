"""Events leave a cluster: signed, in order within a chat, and none is lost when a node is killed."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.cluster import run_cluster
from tests.support.receiver import SECRET, Receiver, run_receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with run_receiver() as receiver:
        yield receiver


def settings(receiver: Receiver) -> dict[str, object]:
    hooks = [{"url": receiver.url, "secret": SECRET, "name": "app"}]
    return {"WEBHOOKS": json.dumps(hooks), "WEBHOOK_ALLOW_PRIVATE": "true", "MESSAGES_PER_MINUTE": 0}


async def test_events_leave_both_nodes_signed_and_in_order(
    tmp_path: Path, redis_url: str, database_url: str, receiver: Receiver
) -> None:
    async with run_cluster(tmp_path, redis_url, database_url, **settings(receiver)) as cluster:
        ann, bob = await cluster.user("ann"), await cluster.user("bob")
        chat = await cluster.chat(ann, bob)
        sockets = [await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)]
        for number in range(20):
            await sockets[number % 2].say(f"message {number}")
        await receiver.count(20)
        assert receiver.seqs() == {chat: list(range(1, 21))}
        assert receiver.unsigned == 0


async def test_private_endpoint_is_refused_by_default(
    tmp_path: Path, redis_url: str, sqlite_url: str, receiver: Receiver
) -> None:
    options = settings(receiver) | {"WEBHOOK_ALLOW_PRIVATE": "false"}
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, **options) as cluster:
        ann = await cluster.user("ann")
        socket = await cluster.enter(0, await cluster.chat(ann), ann)
        await socket.say("hello")
        async with asyncio.timeout(10):
            while "private address" not in cluster.nodes[0].log:
                await asyncio.sleep(0.1)
    assert receiver.seen == []
