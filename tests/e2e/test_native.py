"""Sockets of many chats over two nodes, on real Redis and both databases."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
from websockets.exceptions import InvalidStatus

from storage.records import ChatKind
from tests.cluster import Cluster, User, run_cluster
from tests.native_client import NativeClient


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, database_url, MESSAGES_PER_MINUTE=40) as cluster:
        yield cluster


async def native(
    cluster: Cluster, node: int, user: User | None = None, client_id: str = "a client", slash: str = ""
) -> NativeClient:
    """A socket on one of the nodes; closed at the end of the test."""
    url = f"ws://127.0.0.1:{cluster.nodes[node].port}/ws/{quote(client_id, safe='')}{slash}"
    client = await NativeClient.connect(url, user.token if user else None)
    await cluster.sockets.enter_async_context(client)
    return client


async def test_many_chats_on_one_socket(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    one, other = await cluster.chat(ann, bob), await cluster.chat(bob, ann)
    left, right = await native(cluster, 0, ann), await native(cluster, 1, bob)
    for chat in (one, other):
        subscribed = await left.ack("subscribe", chat_id=chat, id=f"s{chat}")
        assert subscribed["chat_id"] == chat and subscribed["result"]["last_seq"] == 0 and subscribed["result"]["epoch"]
    await right.ack("subscribe", chat_id=one)
    joined = await left.next("presence")
    assert joined == {
        "type": "presence",
        "chat_id": one,
        "user_id": bob.id,
        "username": bob.person.username,
        "status": "join",
    }
    sent = await right.ack("message", chat_id=one, text="hello")
    unsubscribed = await right.ack("message", chat_id=other, text="sending needs no subscription", client_msg_id="m")
    assert (sent["seq"], unsubscribed["seq"], unsubscribed["client_msg_id"]) == (1, 1, "m")
    heard = [await left.next("message"), await left.next("message")]
    assert {(frame["chat_id"], frame["data"]["text"]) for frame in heard} == {
        (one, "hello"),
        (other, "sending needs no subscription"),
    }
    refused = await left.ask("edit_message", chat_id=one, id="edit", message_id=sent["message_id"], text="not mine")
    assert (refused["type"], refused["code"]) == ("error", "forbidden")
    await right.ack("edit_message", chat_id=one, message_id=sent["message_id"], text="hello, ann")
    assert (await left.next("message"))["data"]["text"] == "hello, ann"
    await left.ack("unsubscribe", chat_id=one)
    await right.ack("message", chat_id=one, text="unheard")
    await right.ack("message", chat_id=other, text="heard")
    assert (await left.next("message"))["data"]["text"] == "heard"
    assert "unheard" not in {frame["data"]["text"] for frame in left.of_type("message")}
