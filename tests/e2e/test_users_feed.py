"""Notifications about chats without a subscription, over two nodes."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from storage.records import ChatKind
from tests.support.cluster import Cluster, run_cluster
from tests.support.native_client import NativeClient, native
from tests.support.servers import RedisServer


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, database_url, MESSAGES_PER_MINUTE=0) as cluster:
        yield cluster


async def test_unsubscribed_chats_send_their_activity(cluster: Cluster) -> None:
    ann, bob, eve = [await cluster.user(name) for name in ("ann", "bob", "eve")]
    chats = [await cluster.chat(ann, bob) for _ in range(3)]
    foreign = await cluster.chat(ann, eve)
    here, there, writer = await native(cluster, 0, bob), await native(cluster, 1, bob), await native(cluster, 1, ann)
    await here.ack("subscribe", chat_id=chats[0])
    for _ in range(20):
        for chat in (*chats, foreign):
            await writer.ack("message", chat_id=chat, text="x")

    def heard(client: NativeClient, chat: int) -> list[int]:
        return [frame["last_seq"] for frame in client.of_type("chat_activity") if frame["chat_id"] == chat]

    await here.until(lambda _: all(heard(here, chat)[-1:] == [20] for chat in chats[1:]))
    await there.until(lambda _: all(heard(there, chat)[-1:] == [20] for chat in chats))
    assert heard(here, chats[0]) == [], "it is subscribed"
    assert heard(here, foreign) == heard(there, foreign) == []
    assert len(heard(there, chats[0])) < 20, "notified together"


async def test_members_are_notified_when_added_and_removed(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    here, there, maker = await native(cluster, 0, bob), await native(cluster, 1, bob), await native(cluster, 0, ann)
    url = cluster.nodes[0].url + "/api/v1/chats"
    async with httpx.AsyncClient(headers=ann.headers) as http:
        members = [{"user_id": bob.id}]
        created = (await http.post(url, json={"kind": "group", "members": members})).json()["id"]
        for client in (here, there, maker):
            assert await client.next("chat_added") == {"type": "chat_added", "chat_id": created}
        own = (await http.post(url, json={"kind": "group"})).json()["id"]
        assert (await maker.next("chat_added"))["chat_id"] == own
        assert (await http.post(f"{url}/{own}/members", json={"user_id": bob.id})).status_code == 201
        for client in (here, there):
            assert (await client.next("chat_added"))["chat_id"] == own
        await maker.ack("message", chat_id=own, text="x")
        for client in (here, there):
            activity = await client.next("chat_activity")
            assert activity == {"type": "chat_activity", "chat_id": own, "last_seq": 1}
        assert (await http.delete(f"{url}/{own}/members/{bob.id}")).status_code == 204
        for client in (here, there):
            assert (await client.next("chat_removed")) == {"type": "chat_removed", "chat_id": own}
        await maker.ack("message", chat_id=own, text="x")
        await maker.ack("message", chat_id=created, text="x")
        for client in (here, there):
            assert (await client.next("chat_activity"))["chat_id"] == created
            assert len(client.of_type("chat_removed")) == 1


async def test_joining_a_public_chat_notifies_the_member(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    public = await cluster.chat(ann, kind=ChatKind.PUBLIC)
    client = await native(cluster, 0, bob)
    await client.ack("subscribe", chat_id=public)
    async with httpx.AsyncClient(headers=bob.headers) as http:
        url = f"{cluster.nodes[1].url}/api/v1/chats/{public}/members"
        assert (await http.post(url, json={"user_id": bob.id})).status_code == 201
    assert (await client.next("chat_added"))["chat_id"] == public
    await client.ack("message", chat_id=public, text="x")


async def test_changes_during_redis_outage_are_sent_after_it(cluster: Cluster, redis_server: RedisServer) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    known = await cluster.chat(ann, bob)
    client, writer = await native(cluster, 0, bob), await native(cluster, 1, ann)
    while not client.of_type("chat_activity"):  # until bob's chats have been read
        await writer.ack("message", chat_id=known, text="x")
    unheard = await cluster.chat(ann, bob)  # in the database directly, without notification
    redis_server.restart()
    assert await client.next("chat_added") == {"type": "chat_added", "chat_id": unheard}
