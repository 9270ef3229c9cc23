"""Owners and returning members of a chat, over two nodes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.support.cluster import Cluster, User, run_cluster


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, database_url, MESSAGES_PER_MINUTE=0) as cluster:
        yield cluster


async def call(cluster: Cluster, node: int, user: User, method: str, path: str, **body: object) -> httpx.Response:
    url = f"{cluster.nodes[node].url}/api/v1/chats/{path}"
    async with httpx.AsyncClient(headers=user.headers) as http:
        return await http.request(method, url, json=body or None)


async def owner(cluster: Cluster, node: int, user: User, chat: int) -> int:
    found: int = (await call(cluster, node, user, "GET", str(chat))).json()["owner_id"]
    return found


async def test_new_owner_is_effective_on_other_node_at_once(cluster: Cluster) -> None:
    ann, bob, eve = [await cluster.user(name) for name in ("ann", "bob", "eve")]
    chat = await cluster.chat(ann, bob)
    assert (await call(cluster, 0, ann, "PUT", f"{chat}/owner", user_id=bob.id)).status_code == 204
    assert await owner(cluster, 1, ann, chat) == bob.id
    assert (await call(cluster, 1, ann, "POST", f"{chat}/members", user_id=eve.id)).status_code == 403
    assert (await call(cluster, 1, bob, "POST", f"{chat}/members", user_id=eve.id)).status_code == 201
    assert "owner_changed" in cluster.nodes[0].log


async def test_members_leaving_on_both_nodes_at_once_leave_an_owner(cluster: Cluster) -> None:
    users = [await cluster.user("user") for _ in range(6)]
    for _ in range(3):
        chat = await cluster.chat(*users)
        left = await asyncio.gather(
            *(call(cluster, i % 2, user, "DELETE", f"{chat}/members/{user.id}") for i, user in enumerate(users[:-1])),
            call(cluster, 0, users[0], "PUT", f"{chat}/owner", user_id=users[2].id),
        )
        assert [answer.status_code for answer in left[:-1]] == [204] * 5
        assert left[-1].status_code in (204, 403, 404, 422)
        assert await owner(cluster, 1, users[-1], chat) == users[-1].id


async def test_rejoined_member_keeps_read_position(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    writer, reader = await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)
    for _ in range(3):
        await writer.say("x")
        await reader.next("message")
    await reader.send(type="read_messages", seq=2)
    await writer.next("messages_read")
    assert (await call(cluster, 0, ann, "DELETE", f"{chat}/members/{bob.id}")).status_code == 204
    assert (await reader.closed())[0] == 4403
    back = await call(cluster, 0, ann, "POST", f"{chat}/members", user_id=bob.id)
    assert (back.status_code, back.json()["read_seq"]) == (201, 2)
    async with httpx.AsyncClient(headers=bob.headers) as http:
        (listed,) = (await http.get(f"{cluster.nodes[1].url}/api/v1/chats")).json()["chats"]
    assert listed["unread"] == 1
