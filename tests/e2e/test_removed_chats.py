"""Removed chats end on every node, with and without Redis."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from storage.records import ChatKind
from tests.support.cluster import Cluster, User, run_cluster
from tests.support.native_client import native
from tests.support.servers import RedisServer

WITHIN_S = 5.0


@pytest.fixture
async def cluster(tmp_path: Path, redis_server: RedisServer, database_url: str) -> AsyncIterator[Cluster]:
    settings = {"SECOND_CONNECTION": "allow"}
    async with run_cluster(tmp_path / "nodes", redis_server.url, database_url, **settings) as cluster:
        yield cluster


async def check_removal(
    cluster: Cluster, owner: User, within_s: float, *, kind: ChatKind, kills: RedisServer | None
) -> None:
    """Remove a chat, and see every socket of its members and visitors notified or closed."""
    bob, eve = await cluster.user("bob"), await cluster.user("eve")
    chat = await cluster.chat(owner, bob, kind=kind)
    singles = [await cluster.enter(node, chat, bob) for node in range(2)]
    phones = [await native(cluster, node, bob) for node in range(2)]
    watching = await native(cluster, 1, bob)
    await watching.ask("subscribe", chat_id=chat)
    visitor = await native(cluster, 1, eve)
    if kind is ChatKind.PUBLIC:
        await visitor.ask("subscribe", chat_id=chat)
    await singles[0].say("Hi")
    if kills is not None:
        kills.kill()
    started = time.monotonic()
    answer = await asyncio.to_thread(
        httpx.delete, f"{cluster.nodes[0].url}/api/v1/chats/{chat}", headers=owner.headers, timeout=20
    )
    assert answer.status_code == 204
    for client in singles:
        assert (await client.closed())[0] == 4403
    expected = {"type": "chat_removed", "chat_id": chat}
    for client in (*phones, watching, *([visitor] if kind is ChatKind.PUBLIC else [])):
        assert await client.next("chat_removed") == expected
    assert time.monotonic() - started < within_s
    assert (await watching.ask("message", chat_id=chat, text="Ho"))["code"] == "forbidden"
    assert (await watching.ask("subscribe", chat_id=chat))["code"] == "forbidden"


@pytest.mark.parametrize("kind", [ChatKind.GROUP, ChatKind.PUBLIC])
async def test_removal_ends_sockets_on_both_nodes(cluster: Cluster, kind: ChatKind) -> None:
    await check_removal(cluster, await cluster.user("ann"), WITHIN_S, kind=kind, kills=None)


async def test_removal_ends_sockets_without_redis(cluster: Cluster, redis_server: RedisServer) -> None:
    await check_removal(cluster, await cluster.user("ann"), 2 * WITHIN_S, kind=ChatKind.GROUP, kills=redis_server)
