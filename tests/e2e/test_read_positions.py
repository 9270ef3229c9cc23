"""Read positions reach the other sockets of the user, over two nodes and in both dialects."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.node.read_positions import FLUSH_S
from storage.records import MAX_UNREAD
from tests.support.chat_client import ChatClient
from tests.support.cluster import Cluster, User, run_cluster
from tests.support.native_client import native


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    settings = {"MESSAGES_PER_MINUTE": 0, "SECOND_CONNECTION": "allow"}
    async with run_cluster(tmp_path, redis_url, database_url, **settings) as cluster:
        yield cluster


def told(client: ChatClient, kind: str, reader: User) -> list[int]:
    """The positions of the reader that a socket was notified of."""
    return [frame["seq"] for frame in client.of_type(kind) if frame.get("user_id", reader.id) == reader.id]


async def test_read_in_chat_reaches_other_sockets_of_reader(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    writer, reader, same, there = [
        await cluster.enter(node, chat, user) for node, user in ((0, ann), (0, bob), (0, bob), (1, bob))
    ]
    here_native, there_native = await native(cluster, 0, bob), await native(cluster, 1, bob)
    for _ in range(3):
        await writer.say("x")
    await reader.send(type="read_messages", seq=2)
    push = {"type": "messages_read", "user_id": bob.id, "username": bob.person.username, "seq": 2}
    for client in (writer, same, there):
        assert await client.next("messages_read") == push
    for client in (here_native, there_native):
        assert await client.next("chat_read") == {"type": "chat_read", "chat_id": chat, "seq": 2, "unread": 1}
    await there.send(type="read_messages", seq=3)
    assert (await reader.next("messages_read"))["seq"] == 3
    assert told(reader, "messages_read", bob) == [3], "nothing of what it has read itself"


async def test_read_over_native_reaches_other_sockets_of_reader(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    writer, in_chat = await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)
    reader, other = await native(cluster, 0, bob), await native(cluster, 1, bob)
    await other.ack("subscribe", chat_id=chat)
    await reader.ack("subscribe", chat_id=chat)
    for _ in range(2):
        await writer.say("x")
    await reader.ack("read_messages", chat_id=chat, seq=2)
    assert await other.next("chat_read") == {"type": "chat_read", "chat_id": chat, "seq": 2, "unread": 0}
    assert (await in_chat.next("messages_read"))["user_id"] == bob.id
    await in_chat.send(type="typing", is_typing=True)
    await writer.next("typing")
    assert told(reader, "chat_read", bob) == [], "it has read itself"
    assert other.of_type("messages_read") == [], "chat_read says as much"
    assert other.of_type("typing") == in_chat.of_type("typing") == [], "never to its author"


async def test_chat_marked_as_unread_is_reported_to_its_reader_only(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    writer, here, there = (
        await cluster.enter(0, chat, ann),
        await native(cluster, 0, bob),
        await native(cluster, 1, bob),
    )
    for _ in range(3):
        await writer.say("x")
    async with httpx.AsyncClient(headers=bob.headers) as http:
        url = f"{cluster.nodes[0].url}/api/v1/chats/{chat}/me"
        for seq, unread in ((3, 0), (1, 2)):
            assert (await http.patch(url, json={"read_seq": seq})).json()["unread"] == unread
            for client in (here, there):
                push = {"type": "chat_read", "chat_id": chat, "seq": seq, "unread": unread}
                assert await client.next("chat_read") == push
    await writer.say("y")
    assert told(writer, "messages_read", bob) == [3]


async def test_many_reads_cause_few_notifications_in_order(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    writer = await cluster.enter(0, chat, ann)
    for _ in range(100):
        await writer.send(type="message", text="x")
    await writer.until(lambda _: len(writer.seqs) == 100)
    readers = [await cluster.enter(0, chat, bob), await cluster.enter(1, chat, bob)]
    other = await native(cluster, 1, bob)
    started = time.monotonic()
    for seq in range(1, 101):
        await readers[seq % 2].send(type="read_messages", seq=seq)
    await other.until(lambda _: told(other, "chat_read", bob)[-1:] == [100])
    elapsed_s = time.monotonic() - started
    seqs = told(other, "chat_read", bob)
    assert seqs == sorted(seqs)
    assert len(seqs) <= 2 * (elapsed_s / FLUSH_S + 1), "once an interval and node that was read on"
    assert other.of_type("chat_read")[-1]["unread"] == 0


async def test_large_chat_notifies_only_the_reader(cluster: Cluster) -> None:
    users = [await cluster.user("user") for _ in range(60)]
    last = await cluster.user("last")
    chat = await cluster.chat(*users, last)
    clients = await asyncio.gather(*(cluster.enter(i % 2, chat, user) for i, user in enumerate(users)))
    await cluster.enter(0, chat, last)  # once both nodes listen to the chat, so that they know how many are there
    for client in clients[:2]:
        await client.next("presence_count")
    await clients[0].say("x")
    reader = users[1]
    second, third = await cluster.enter(0, chat, reader), await native(cluster, 0, reader)
    await clients[1].send(type="read_messages", seq=1)
    assert (await second.next("messages_read"))["user_id"] == reader.id
    assert (await third.next("chat_read"))["seq"] == 1
    assert [client.of_type("messages_read") for client in clients] == [[]] * len(clients)


async def test_unread_count_stops_at_its_limit(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    writer, other, reader = await native(cluster, 0, ann), await native(cluster, 1, bob), await native(cluster, 0, bob)
    for _ in range(MAX_UNREAD + 20):
        await writer.send(type="message", chat_id=chat, text="x")
    await writer.ack("message", chat_id=chat, text="last")
    for seq, unread in ((5, MAX_UNREAD), (MAX_UNREAD, 21)):
        await reader.ack("read_messages", chat_id=chat, seq=seq)
        assert await other.next("chat_read", lambda frame, seq=seq: frame["seq"] == seq) == {
            "type": "chat_read",
            "chat_id": chat,
            "seq": seq,
            "unread": unread,
        }
