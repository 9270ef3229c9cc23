"""Drains and disconnects: a client that reconnects in time is never shown as offline, and nothing is lost."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.node.leave_queue import LINGER_S
from tests.support.chat_client import ChatClient, Frame
from tests.support.cluster import Cluster, GatewayNode, User, run_cluster

DRAIN_S = 4


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, database_url, MESSAGES_PER_MINUTE=0, DRAIN_S=DRAIN_S) as cluster:
        yield cluster


def end(node: GatewayNode) -> None:
    """Ask it to leave."""
    os.kill(node.pid, signal.SIGTERM)


async def ended(node: GatewayNode, within_s: float) -> int:
    """Its exit code."""
    process = node._process
    assert process is not None
    async with asyncio.timeout(within_s):
        while process.poll() is None:
            await asyncio.sleep(0.02)
    return process.returncode


def presence_of(client: ChatClient, user: User) -> list[Frame]:
    """The presence notifications about a user that a client received."""
    return [frame for frame in client.of_type("presence") if frame["user_id"] == user.id]


async def test_reconnect_after_drain_never_shows_client_as_offline(cluster: Cluster) -> None:
    users = [await cluster.user("user") for _ in range(20)]
    bob, eve = await cluster.user("bob"), await cluster.user("eve")
    chat = await cluster.chat(bob, eve, *users)
    watcher = await cluster.enter(1, chat, bob)
    drained = [await cluster.enter(0, chat, user) for user in [*users, eve]]
    await watcher.until(lambda _: len(watcher.of_type("presence")) == 21)
    before = len(watcher.frames)
    talking = asyncio.gather(*(talk(client, str(number)) for number, client in enumerate(drained)))
    await watcher.until(lambda _: len(watcher.seqs) > 100)
    end(cluster.nodes[0])
    closes = [await client.closed() for client in drained]
    acked = [text for texts in await talking for text in texts]
    assert {code for code, _ in closes} == {4000}
    waits_ms = [orjson.loads(reason or "")["retry_after_ms"] for _, reason in closes]
    assert len(set(waits_ms)) > len(waits_ms) / 2
    returned: list[ChatClient] = []
    for user, client in zip(users, drained[:-1], strict=True):
        position = client.seqs[-1] if client.seqs else 0
        returned.append(await cluster.enter(1, chat, user, since=position))
    assert await ended(cluster.nodes[0], DRAIN_S + 5) == 0
    # What this waits for is Eve's leaving, by which all others would have left.
    await watcher.until(lambda _: bool(presence_of(watcher, eve)[1:]), timeout_s=LINGER_S + 12)
    changes = [frame for frame in watcher.frames[before:] if frame["type"] == "presence"]
    assert [(frame["user_id"], frame["status"]) for frame in changes] == [(eve.id, "leave")]
    # Every client, including the disconnected ones, has each acknowledged message once.
    heard = [frame["data"]["text"] for frame in watcher.of_type("message")]
    assert len(acked) > 100
    assert set(acked) <= set(heard)
    assert watcher.seqs == list(range(1, len(heard) + 1))
    for client, first in zip(returned, drained, strict=False):
        # The last to be closed may have missed nothing.
        await client.until(lambda _, f=first, c=client: (f.seqs + c.seqs)[-1:] == [len(heard)])
        assert first.seqs + client.seqs == watcher.seqs[-len(first.seqs + client.seqs) :]


async def talk(client: ChatClient, name: str) -> list[str]:
    """Say one thing after the other for as long as it goes; what was acknowledged."""
    said: list[str] = []
    try:
        while True:
            said.append((await client.say(f"{name}.{len(said)}"))["text"])
    except (ConnectionError, ConnectionClosed):
        return said


async def test_second_signal_ends_long_drain(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    settings = {"DRAIN_DELAY_S": 60, "DRAIN_S": 60}
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, **settings) as cluster:
        ann = await cluster.user("ann")
        client = await cluster.enter(0, await cluster.chat(ann), ann)
        end(cluster.nodes[0])
        await client.say("still served")
        end(cluster.nodes[0])
        assert (await client.closed())[0] == 4000
        assert await ended(cluster.nodes[0], 5) == 0


async def test_lost_client_reconnects_despite_reject_policy(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    async with run_cluster(tmp_path, redis_url, sqlite_url, SECOND_CONNECTION="reject") as cluster:
        ann, bob = await cluster.user("ann"), await cluster.user("bob")
        chat = await cluster.chat(ann, bob)
        watcher = await cluster.enter(1, chat, bob)
        client = await cluster.enter(0, chat, ann)
        await watcher.next("presence")
        for node in (1, 0, 0):
            with pytest.raises(InvalidStatus) as refused:
                await ChatClient.connect(cluster.nodes[node].chat_url(chat), ann.token)
            assert refused.value.response.status_code == 409
            client.socket.transport.abort()
            started = time.monotonic()
            client = await come_back(cluster, node, chat, ann)
            assert time.monotonic() - started < LINGER_S / 2
        await client.say("here I am")
        await watcher.next("message")
        assert len(presence_of(watcher, ann)) == 1


async def come_back(cluster: Cluster, node: int, chat: int, user: User) -> ChatClient:
    """Into the chat, as soon as the node has noticed that the old socket is gone."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await cluster.enter(node, chat, user)
            except InvalidStatus:
                await asyncio.sleep(0.02)
