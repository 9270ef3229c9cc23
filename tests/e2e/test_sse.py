"""Event streams over two nodes, with real Redis and a real database."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest

from tests.support.cluster import Cluster, User, run_cluster
from tests.support.event_stream import EventStream, event_stream
from tests.support.native_client import native


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, database_url, MESSAGES_PER_MINUTE=0) as cluster:
        yield cluster


def stream_of(
    cluster: Cluster, node: int, user: User | None, *chats: object, last_id: str = "", **query: object
) -> AbstractAsyncContextManager[EventStream]:
    """The user's stream of these chats on one of the nodes."""
    if chats:
        query["chats"] = ",".join(map(str, chats))
    return event_stream(f"{cluster.nodes[node].url}/sse/me", user and user.token, last_id=last_id, **query)


async def test_stream_delivers_pushes_of_its_chats(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    one, other, unnamed = [await cluster.chat(ann, bob) for _ in range(3)]
    async with stream_of(cluster, 0, ann, one, other) as stream:
        headers = stream.response.headers
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert (headers["cache-control"], headers["x-accel-buffering"]) == ("no-cache, no-transform", "no")
        assert {(await stream.next("ack"))["chat_id"] for _ in range(2)} == {one, other}
        writer = await cluster.client(1, bob)
        await writer.subscribe(one)
        assert await stream.next("presence") == {
            "type": "presence",
            "chat_id": one,
            "user_id": bob.id,
            "username": bob.person.username,
            "display_name": bob.person.shown_name,
            "status": "join",
        }
        present = (await writer.command("presence", chat_id=one))["result"]["members"]
        assert {user["user_id"] for user in present} == {ann.id, bob.id}
        for chat in (one, other, unnamed):
            await writer.send(chat, f"in {chat}")
        assert {(await stream.next("message"))["data"]["text"] for _ in range(2)} == {f"in {one}", f"in {other}"}
        assert await stream.next("chat_activity") == {"type": "chat_activity", "chat_id": unnamed, "last_seq": 1}


async def test_stream_resumes_on_another_node_without_gap(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    one, other = await cluster.chat(ann, bob), await cluster.chat(ann, bob)
    writer = await cluster.client(1, bob)

    async def write(*texts: str) -> None:
        for text in texts:
            for chat in (one, other):
                await writer.send(chat, f"{chat} {text}")

    await write("before")
    async with stream_of(cluster, 0, ann, one, other) as stream:
        for _ in range(2):
            await stream.next("ack")
        await write("live")
        for _ in range(2):
            await stream.next("message")
        last_id, seen = stream.last_id, stream.texts()
    await write("missed", "missed too")
    async with stream_of(cluster, 1, ann, one, other, last_id=last_id) as stream:
        for _ in range(2):
            await stream.next("caught_up")
        await write("live again")
        for _ in range(2):
            await stream.next("message")
        seen += stream.texts()
    words = ["live", "missed", "missed too", "live again"]
    for chat in (one, other):
        assert [text for text in seen if text.startswith(f"{chat} ")] == [f"{chat} {word}" for word in words]


async def test_stream_starts_at_positions_of_its_url(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    chat, other = await cluster.chat(ann), await cluster.chat(ann)
    writer = await native(cluster, 0, ann)
    for number in range(3):
        sent = await writer.ack("message", chat_id=chat, text=str(number))
    async with stream_of(cluster, 1, ann, f"{chat}:1", other) as stream:
        await stream.next("caught_up")
        assert stream.texts() == ["1", "2"]
    async with stream_of(cluster, 1, ann, f"{chat}:{sent['epoch']}:2", last_event_id=stream.last_id) as stream:
        await stream.next("caught_up")
        assert stream.texts() == []  # the id is newer than the URL


async def test_position_of_another_epoch_gets_reset(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    chat, other = await cluster.chat(ann), await cluster.chat(ann)
    writer = await cluster.client(0, ann)
    await writer.send(chat, "hello")
    for last_id in (f"another:{chat:x}-1.{other:x}-0", "nonsense", "x" * 9000, ":" + "1-1." * 300, f"e:{chat:x}-"):
        async with stream_of(cluster, 1, ann, chat, last_id=last_id) as stream:
            reset = await stream.next("reset")
            assert (reset["chat_id"], reset["last_seq"]) == (chat, 1), last_id
            assert stream.last_id == f"{reset['epoch']}:{chat:x}-1" and stream.texts() == []


async def test_rejections_have_the_status_of_native_ones(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    foreign = await cluster.chat(bob)
    async with stream_of(cluster, 0, ann, foreign) as stream:
        error = await stream.next("error")
        assert (error["chat_id"], error["code"]) == (foreign, "forbidden")
    for status, path, token in (
        (401, "/sse/me", "nonsense"),
        (404, "/sse/a/b", ann.token),
        (404, f"/sse/{'a' * 256}", ann.token),
        (422, "/sse/me?chats=0", ann.token),
        (422, "/sse/me?chats=1&chats=2", ann.token),
        (422, "/sse/me?chats=" + ",".join(map(str, range(1, 202))), ann.token),
    ):
        answer = httpx.get(f"{cluster.nodes[0].url}{path}", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == status, path
        assert answer.headers["content-type"] == "application/problem+json", path
    assert httpx.post(f"{cluster.nodes[0].url}/sse/me", headers=ann.headers).status_code == 405
    head = httpx.head(f"{cluster.nodes[0].url}/sse/me", headers=ann.headers)
    assert (head.status_code, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")


async def test_anonymous_stream_is_visitor_of_public_chats(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    group = await cluster.chat(ann)
    async with stream_of(cluster, 0, None, group) as stream:
        assert (await stream.next("error"))["code"] == "forbidden"


async def test_drained_stream_ends_with_reconnect_hint(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    async with stream_of(cluster, 0, ann, chat) as stream:
        await stream.next("ack")
        os.kill(cluster.nodes[0].pid, signal.SIGTERM)
        closed = await stream.end()
        assert closed is not None and closed["code"] == 4000 and stream.retry_ms is not None
        assert 0 < stream.retry_ms <= 300
    await asyncio.to_thread(cluster.nodes[0].wait)
    async with stream_of(cluster, 1, ann, chat, last_id=stream.last_id) as stream:
        await stream.next("caught_up")
