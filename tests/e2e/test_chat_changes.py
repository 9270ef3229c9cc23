"""Changes of chats reach the sockets of both nodes, with and without Redis."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from storage.records import ChatKind
from tests.support.cluster import Cluster, User, run_cluster
from tests.support.native_client import native
from tests.support.servers import RedisServer


@pytest.fixture
async def cluster(tmp_path: Path, redis_server: RedisServer, database_url: str) -> AsyncIterator[Cluster]:
    settings = {"SECOND_CONNECTION": "allow"}
    async with run_cluster(tmp_path / "nodes", redis_server.url, database_url, **settings) as cluster:
        yield cluster


def change(cluster: Cluster, user: User, chat: int, **body: Any) -> dict[str, Any]:
    url = f"{cluster.nodes[0].url}/api/v1/chats/{chat}"
    answer = httpx.patch(url, json=body, headers=user.headers, timeout=20)
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.json()
    return changed


async def test_change_reaches_sockets_of_both_nodes_within_a_second(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    service = await cluster.chat(ann, bob, kind=ChatKind.SERVICE)
    clients = [await cluster.enter(node, chat, bob) for node in range(2)]
    phones = [await native(cluster, node, bob) for node in range(2)]
    subscribed = await native(cluster, 1, bob)
    await subscribed.ask("subscribe", chat_id=chat)
    silent = await cluster.open(1, f"/ws/service-chats/{service}", bob.token)
    started = time.monotonic()
    change(cluster, ann, chat, title="New", data={"a": 1})
    change(cluster, ann, service, title="New")
    expected = {"type": "chat_changed", "chat_id": chat, "title": "New", "key": None, "data": {"a": 1}}
    expected |= {"retention_days": None, "frozen": False, "slow_mode_s": 0}
    for client in (*clients, *phones, subscribed):
        assert expected == await client.next("chat_changed", lambda f: f["chat_id"] == chat)
    assert time.monotonic() - started < 5
    for client in (*phones, subscribed):
        await client.next("chat_changed", lambda frame: frame["chat_id"] == service)
    assert silent.frames == []
    assert len(subscribed.of_type("chat_changed")) == 2, "one of each chat"


async def test_change_is_found_without_redis(cluster: Cluster, redis_server: RedisServer) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    client = await cluster.enter(1, chat, bob)
    phone = await native(cluster, 1, bob)
    await phone.ask("subscribe", chat_id=chat)
    redis_server.kill()
    change(cluster, ann, chat, title="One")
    change(cluster, ann, chat, title="Two")
    for socket in (client, phone):
        await socket.next("chat_changed", lambda frame: frame["title"] == "Two")
