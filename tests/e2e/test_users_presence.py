"""Presence across chats, over two nodes with real Redis and both databases."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from storage.records import ChatKind
from tests.support.cluster import Cluster, run_cluster
from tests.support.event_stream import event_stream
from tests.support.native_client import native

KEY = {"X-Service-Key": "u9Yq2mTz7cKp4vXw8bNr"}
URL = "/api/v1/users/presence"


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    settings = {"SERVICE_KEYS": f"backend:{KEY['X-Service-Key']}", "PRESENCE_PER_MINUTE": 20}
    async with run_cluster(tmp_path, redis_url, database_url, **settings) as cluster:
        yield cluster


async def presence(cluster: Cluster, node: int, headers: dict[str, str], *user_ids: int) -> list[dict[str, Any]]:
    """What a node answers over HTTP."""
    async with httpx.AsyncClient(base_url=cluster.nodes[node].url, headers=headers) as http:
        answer = await http.get(URL, params={"ids": ",".join(map(str, user_ids))})
        answer.raise_for_status()
        users: list[dict[str, Any]] = answer.json()["users"]
        return users


async def until_online(cluster: Cluster, user_id: int, *, is_online: bool, node: int = 0) -> dict[str, Any]:
    """Wait until a service finds the user so."""
    async with asyncio.timeout(45):
        while True:
            (user,) = await presence(cluster, node, KEY, user_id)
            if user["online"] is is_online:
                return user
            await asyncio.sleep(0.2)


async def test_sockets_of_every_kind_make_their_user_online(cluster: Cluster) -> None:
    ann, bob, eve, joe = [await cluster.user(name) for name in ("ann", "bob", "eve", "joe")]
    chat = await cluster.chat(ann, bob, eve, joe)
    client = await native(cluster, 0, ann)
    await cluster.enter(1, chat, bob)
    async with event_stream(f"{cluster.nodes[1].url}/sse/me", eve.token):
        for user in (ann, bob, eve):
            await until_online(cluster, user.id, is_online=True)
        shown = [
            *({"user_id": user.id, "online": True, "last_seen_at": None} for user in (eve, bob)),
            {"user_id": joe.id, "online": False, "last_seen_at": None},
        ]
        asked = await client.ask("presence", user_ids=[eve.id, bob.id, joe.id], id="p")
        assert asked == {"type": "ack", "id": "p", "result": {"users": shown}}
        await client.send(type="presence", user_ids=[eve.id, bob.id, joe.id])
        assert await client.next("users_presence") == {"type": "users_presence", "users": shown}
        assert await presence(cluster, 1, joe.headers, eve.id, bob.id, joe.id) == shown


async def test_who_leaves_was_seen_last_then(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    await cluster.chat(ann, bob)
    client = await native(cluster, 1, bob)
    await until_online(cluster, bob.id, is_online=True)
    await client.close()
    left = datetime.now(UTC)
    await until_online(cluster, bob.id, is_online=False)
    async with asyncio.timeout(20):
        while (await presence(cluster, 0, ann.headers, bob.id))[0]["last_seen_at"] is None:
            await asyncio.sleep(0.1)
    (seen,) = await presence(cluster, 0, ann.headers, bob.id)
    assert abs(datetime.fromisoformat(seen["last_seen_at"]) - left) < timedelta(seconds=3)


async def test_users_of_a_killed_node_are_offline_and_were_seen(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    await cluster.enter(1, chat, bob)
    await until_online(cluster, bob.id, is_online=True)
    cluster.nodes[1].kill()
    await until_online(cluster, bob.id, is_online=False)
    async with asyncio.timeout(60):
        while (await presence(cluster, 0, ann.headers, bob.id))[0]["last_seen_at"] is None:
            await asyncio.sleep(0.5)


async def test_node_that_stops_stores_who_leaves(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    await cluster.chat(ann, bob)
    await native(cluster, 1, bob)
    await until_online(cluster, bob.id, is_online=True)
    os.kill(cluster.nodes[1].pid, signal.SIGTERM)
    await asyncio.to_thread(cluster.nodes[1].wait)
    await until_online(cluster, bob.id, is_online=False)
    assert (await presence(cluster, 0, ann.headers, bob.id))[0]["last_seen_at"] is not None


async def test_presence_is_shown_to_users_who_share_a_chat(cluster: Cluster) -> None:
    ann, bob, eve, joe = [await cluster.user(name) for name in ("ann", "bob", "eve", "joe")]
    await cluster.chat(bob, ann)
    await cluster.chat(bob, eve, kind=ChatKind.PUBLIC)
    await cluster.chat(bob, joe)
    await native(cluster, 0, bob)
    await until_online(cluster, bob.id, is_online=True)
    nobody = {"user_id": bob.id, "online": False, "last_seen_at": None}
    async with httpx.AsyncClient(base_url=cluster.nodes[0].url) as http:
        (await http.put(f"/api/v1/me/blocks/{joe.id}", headers=bob.headers)).raise_for_status()
    assert (await presence(cluster, 0, ann.headers, bob.id))[0]["online"]
    assert (await presence(cluster, 0, bob.headers, bob.id))[0]["online"]
    assert await presence(cluster, 0, eve.headers, bob.id) == [nobody]  # only a public chat
    assert await presence(cluster, 0, joe.headers, bob.id) == [nobody]  # blocked
    assert await presence(cluster, 0, ann.headers, 10**15) == [nobody | {"user_id": 10**15}]
    for_ann = KEY | {"X-On-Behalf-Of": str(eve.id)}
    assert await presence(cluster, 0, for_ann, bob.id) == [nobody]


async def test_wrong_requests_are_rejected(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    async with httpx.AsyncClient(base_url=cluster.nodes[0].url, headers=ann.headers) as http:
        for ids in ("", "0", "x", "1,", ",".join(map(str, range(1, 102)))):
            assert (await http.get(URL, params={"ids": ids})).status_code == 422, ids
        assert (await http.get(URL)).status_code == 422
        statuses = {(await http.get(URL, params={"ids": "1"})).status_code for _ in range(75)}
        assert statuses == {200, 429}
    client = await native(cluster, 0, ann)
    for user_ids in ([], [0], ["1"], 1, list(range(1, 102))):
        error = await client.ask("presence", user_ids=user_ids)
        assert (error["type"], error["code"]) == ("error", "invalid_field"), user_ids
    assert (await client.ask("presence", user_ids=[1], chat_id=1))["code"] == "invalid_field"
    anonymous = await native(cluster, 0)
    assert (await anonymous.ask("presence", user_ids=[1]))["code"] == "forbidden"


async def test_changes_are_pushed_over_all_nodes(cluster: Cluster) -> None:
    ann, bob, eve = [await cluster.user(name) for name in ("ann", "bob", "eve")]
    await cluster.chat(ann, bob)
    client = await native(cluster, 0, ann)
    async with event_stream(f"{cluster.nodes[0].url}/sse/me", ann.token, presence=f"{bob.id},{eve.id}") as stream:
        offline = [{"user_id": user.id, "online": False, "last_seen_at": None} for user in (bob, eve)]
        assert (await stream.next("users_presence"))["users"] == offline
        asked = await client.ask("subscribe_presence", user_ids=[bob.id, eve.id])
        assert asked["result"]["users"] == offline
        others = [await native(cluster, 1, user) for user in (bob, eve)]
        online = {"type": "user_presence", "user_id": bob.id, "online": True, "last_seen_at": None}
        assert await stream.next("user_presence") == online
        assert await client.next("user_presence") == online
        for other in others:
            await other.close()
        gone = await stream.next("user_presence")
        assert (gone["user_id"], gone["online"]) == (bob.id, False) and gone["last_seen_at"] is not None
        await client.next("user_presence")
        await client.ask("subscribe_presence", user_ids=[])
        await native(cluster, 1, bob)
        assert (await stream.next("user_presence"))["online"]
        assert len(client.of_type("user_presence")) == 2
        assert {event["user_id"] for event in stream.events if event["type"] == "user_presence"} == {bob.id}
