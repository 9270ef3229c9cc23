"""System messages over two nodes: live and after a reconnect, in every dialect of the members."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from storage.records import ChatKind
from tests.support.cluster import Cluster, run_cluster

KEY = {"X-Service-Key": "key-of-shop"}


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, database_url, SERVICE_KEYS="shop:key-of-shop") as cluster:
        yield cluster


async def write(cluster: Cluster, chat_id: int, text: str) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=cluster.nodes[0].url, headers=KEY) as http:
        answer = await http.post(f"/api/v1/chats/{chat_id}/messages", json={"text": text})
    assert answer.status_code == 201, answer.text
    sent: dict[str, Any] = answer.json()
    return sent


async def test_system_message_reaches_members_on_every_node(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    single = [await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)]
    native = await cluster.open(1, "/ws/phone", ann.token)
    await native.send(type="subscribe", chat_id=chat)
    await native.next("ack")
    sent = await write(cluster, chat, "Order 7 was paid.")
    for client in single:
        data = (await client.next("message"))["data"]
        assert data == sent | {"sender": {"id": 0, "username": "system", "first_name": "", "last_name": ""}}
    assert (await native.next("message"))["data"] == sent
    later = await cluster.enter(1, chat, ann, since=0)
    assert (await later.next("message"))["data"] == data


async def test_system_message_in_a_service_chat_is_flat(cluster: Cluster) -> None:
    master, client = await cluster.user("master"), await cluster.user("client")
    chat = await cluster.chat(master, client, kind=ChatKind.SERVICE)
    sockets = [
        await cluster.open(node, f"/ws/service-chats/{chat}", user.token) for node, user in enumerate((master, client))
    ]
    await write(cluster, chat, "Your car is ready.")
    for socket in sockets:
        message = await socket.next("message")
        assert (message["content"], message["sender_id"], message["kind"]) == ("Your car is ready.", 0, "system")


async def test_deletion_by_service_reaches_the_author_too(cluster: Cluster) -> None:
    master, client = await cluster.user("master"), await cluster.user("client")
    chat = await cluster.chat(master, client, kind=ChatKind.SERVICE)
    author = await cluster.open(0, f"/ws/service-chats/{chat}", master.token)
    other = await cluster.open(1, f"/ws/service-chats/{chat}", client.token)
    await author.send(type="message", content="rude")
    message_id = (await other.next("message"))["id"]
    async with httpx.AsyncClient(base_url=cluster.nodes[0].url, headers=KEY) as http:
        answer = await http.delete(f"/api/v1/chats/{chat}/messages/{message_id}")
    assert answer.status_code == 200, answer.text
    for socket in (author, other):
        deletion = await socket.next("message", lambda frame: frame["is_deleted"])
        assert (deletion["id"], deletion["sender_id"], deletion["by_id"]) == (message_id, master.id, 0)
