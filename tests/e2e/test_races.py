"""Subscribing during publications: no event is missed or duplicated."""

import asyncio
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.support.cluster import Cluster, User, run_cluster

CHATS = 10
PAUSE_S = 0.025
"""Between two messages of a chat: together at most 400 a second, below what a socket may send (docs/transport.md)."""


async def talk(cluster: Cluster, user: User, chats: list[int]) -> None:
    """Publish in every chat over the first node until cancelled."""
    url = cluster.nodes[0].ws_url("/ws/talker")
    async with connect(url, additional_headers=user.headers, proxy=None) as socket, asyncio.TaskGroup() as group:
        group.create_task(read_all(socket))
        for number in count():
            for chat in chats:
                await socket.send(orjson.dumps({"type": "message", "chat_id": chat, "text": str(number)}).decode())
            await asyncio.sleep(PAUSE_S)


async def read_all(socket: ClientConnection) -> None:
    """Who does not take the acks is closed as a slow consumer in the end."""
    async for _ in socket:
        pass


async def ask(socket: ClientConnection, **command: Any) -> None:
    await socket.send(orjson.dumps(command).decode())


async def come_and_go(cluster: Cluster, user: User, chat: int, rounds: int) -> None:
    """Subscribe on the second node, without other clients there, until a live event arrives; leave; repeat."""
    url = cluster.nodes[1].ws_url("/ws/visitor")
    async with connect(url, additional_headers=user.headers, proxy=None, max_queue=None) as socket:
        seen = 0
        for number in range(rounds):
            since = max(0, seen - 3) if number % 2 else None
            await ask(socket, type="subscribe", id=number, chat_id=chat, **({} if since is None else {"since": since}))
            is_live = has_left = False
            expected = -1
            while not has_left:
                frame = orjson.loads(await asyncio.wait_for(socket.recv(), 20))
                match frame:
                    case {"type": "ack", "id": "leave"}:
                        has_left = True
                    case {"type": "ack", "result": {"last_seq": last_seq}}:
                        expected, is_live = (last_seq if since is None else since) + 1, since is None
                    case {"type": "caught_up", "seq": seq}:
                        assert seq == expected - 1
                        is_live = True
                    case {"type": "message", "data": {"seq": seq}}:
                        assert seq == expected, f"{seq} came where {expected} should: round {number}, since {since}"
                        expected += 1
                        if is_live:
                            is_live = False
                            await ask(socket, type="unsubscribe", id="leave", chat_id=chat)
                    case {"type": "chat_activity"}:
                        pass
                    case _:
                        raise AssertionError(frame)
            seen = expected - 1


async def race(folder: Path, redis_url: str, database_url: str, rounds: int) -> None:
    async with run_cluster(folder, redis_url, database_url, MESSAGES_PER_MINUTE=0) as cluster:
        ann, bob = await cluster.user("ann"), await cluster.user("bob")
        chats = [await cluster.chat(ann, bob) for _ in range(CHATS)]
        talking = asyncio.create_task(talk(cluster, ann, chats))
        try:
            await asyncio.gather(*(come_and_go(cluster, bob, chat, rounds // CHATS) for chat in chats))
            assert not talking.done()
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)


async def test_subscribe_racing_publish_leaves_no_gap(tmp_path: Path, redis_url: str, sqlite_url: str) -> None:
    await race(tmp_path, redis_url, sqlite_url, 2_000)


@pytest.mark.full
@pytest.mark.timeout(600)
async def test_subscribe_racing_publish_leaves_no_gap_in_10000_rounds(
    tmp_path: Path, redis_url: str, postgres_url: str
) -> None:
    await race(tmp_path, redis_url, postgres_url, 10_000)
