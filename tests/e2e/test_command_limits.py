"""Floods of commands that cost something: what is beyond the limit is not executed, and others are not affected."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.chat_client import ChatClient
from tests.support.cluster import Cluster, run_cluster

EDITS = 30
TRIED = 150
"""Fewer than the 200 rejections that close a socket."""


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    limits = {"EDITS_PER_MINUTE": EDITS, "HISTORY_PER_MINUTE": EDITS, "MESSAGES_PER_MINUTE": 0}
    async with run_cluster(tmp_path / "nodes", redis_url, database_url, nodes=1, **limits) as cluster:
        yield cluster


async def answers(client: ChatClient, count: int, *kinds: str) -> list[dict[str, object]]:
    """The first `count` frames of these types."""
    frames = await client.until(lambda frames: sum(frame["type"] in kinds for frame in frames) >= count)
    return [frame for frame in frames if frame["type"] in kinds]


def is_edit(frame: dict[str, Any]) -> bool:
    return frame["type"] == "message" and frame["data"]["is_edited"] is True


async def test_edits_beyond_the_limit_are_not_stored(cluster: Cluster) -> None:
    ann, bob = await cluster.user(), await cluster.user()
    chat = await cluster.chat(ann, bob)
    flooding, other = await cluster.enter(0, chat, ann), await cluster.enter(0, chat, bob)
    first = await flooding.say("first")
    theirs = await other.say("theirs")
    for number in range(TRIED):
        await flooding.send(type="edit_message", id=first["id"], text=f"edit {number}")
    errors = await answers(flooding, TRIED - EDITS - 5, "error")
    assert {error["code"] for error in errors} == {"rate_limited"}
    assert all(1 <= int(str(error["retry_after_s"])) <= 60 for error in errors)
    await flooding.until(lambda frames: sum(is_edit(frame) for frame in frames) >= EDITS)
    await other.send(type="edit_message", id=theirs["id"], text="changed")
    await other.next("message", lambda frame: frame["data"]["text"] == "changed")
    await other.send(type="history", limit=10)
    page = await other.next("history")
    stored = int(page["last_seq"]) - 3  # two messages, and the other's edit
    assert EDITS <= stored <= EDITS + 5


async def test_anonymous_sockets_of_one_address_share_a_limit(cluster: Cluster) -> None:
    ann, bob = await cluster.user(), await cluster.user()
    chat = await cluster.chat(ann, bob)
    sockets = [await cluster.open(0, f"/ws/phone{n}", None) for n in range(6)]
    for client in sockets:
        for number in range(EDITS):
            await client.send(type="history", chat_id=chat, id=number, limit=1)
    codes = [frame["code"] for client in sockets for frame in await answers(client, EDITS, "error")]
    assert {*codes} == {"forbidden", "rate_limited"}
    assert 3 * EDITS <= codes.count("forbidden") <= 3 * EDITS + 10
    member = await cluster.open(0, "/ws/phone", ann.token)
    await member.send(type="history", chat_id=chat, id=1, limit=1)
    assert (await member.next("ack"))["id"] == 1


async def test_edits_are_limited_over_all_nodes_and_sockets(tmp_path: Path, redis_url: str, database_url: str) -> None:
    edits = 10  # a socket's; a user has three times as many
    limits = {"EDITS_PER_MINUTE": edits, "MESSAGES_PER_MINUTE": 0}
    async with run_cluster(tmp_path / "two", redis_url, database_url, nodes=2, **limits) as cluster:
        ann = await cluster.user()
        chat = await cluster.chat(ann, await cluster.user())
        sockets = [await cluster.open(node, f"/ws/{node}{n}", ann.token) for node in (0, 1) for n in range(4)]
        await sockets[0].send(type="message", chat_id=chat, text="first", id=0)
        first = await sockets[0].next("ack")
        stored = 0
        for number in range(edits):
            for client in sockets:
                edit = {"chat_id": chat, "message_id": first["message_id"], "text": str(number), "id": number}
                await client.send(type="edit_message", **edit)
        for client in sockets:
            frames = await answers(client, edits, "error", "ack")
            assert {frame["code"] for frame in frames if frame["type"] == "error"} <= {"rate_limited"}
            stored += sum(frame["type"] != "error" for frame in frames)
        assert 3 * edits <= stored <= 3 * edits + 2


async def test_limit_is_answered_in_every_dialect(cluster: Cluster) -> None:
    ann, bob = await cluster.user(), await cluster.user()
    chat = await cluster.chat(ann, bob)
    native = await cluster.open(0, "/ws/phone", ann.token)
    for number in range(TRIED):
        await native.send(type="history", chat_id=chat, id=number, limit=1)
    refused = await answers(native, TRIED - EDITS - 5, "error")
    assert {(frame["code"], frame["chat_id"]) for frame in refused} == {("rate_limited", chat)}
    public = await cluster.open(0, "/channels/public", bob.token)
    await public.next("connection_established")
    for _ in range(TRIED):
        await public.send(type="history", limit=1)
    errors = await answers(public, TRIED - EDITS - 5, "error")
    assert {error["code"] for error in errors} == {"rate_limited"}
    await asyncio.sleep(60 / EDITS + 0.1)
    await public.send(type="history", limit=2)
    await public.next("history", lambda frame: len(frame["messages"]) <= 2)
