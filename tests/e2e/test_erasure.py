"""A user is erased under load, on three nodes, one of which dies meanwhile: nothing of theirs is left anywhere."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.support.chat_client import ChatClient
from tests.support.cluster import Cluster, User, run_cluster
from tests.support.dumps import dump

KEY = "a-service-key-of-the-test"
SERVICE = {"X-Service-Key": KEY}
SECRET = "unmistakable"
TEXTS = 300


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    options = {"nodes": 3, "SERVICE_KEYS": KEY, "MESSAGES_PER_MINUTE": 100_000}
    async with run_cluster(tmp_path / "nodes", redis_url, database_url, **options) as cluster:  # type: ignore[arg-type]
        yield cluster


async def erase(cluster: Cluster, node: int, user: User) -> None:
    async with httpx.AsyncClient(headers=SERVICE, timeout=10) as http:
        url = f"{cluster.nodes[node].url}/api/v1/users/{user.id}?messages=erase"
        assert (await http.delete(url)).status_code == 202


async def finished(cluster: Cluster, node: int, user: User) -> dict[str, object]:
    """The erasure, once it has ended."""
    url = f"{cluster.nodes[node].url}/api/v1/users/{user.id}/erasure"
    async with httpx.AsyncClient(headers=SERVICE, timeout=10) as http, asyncio.timeout(90):
        while (shown := (await http.get(url)).json())["finished_at"] is None:
            await asyncio.sleep(0.5)
    erasure: dict[str, object] = shown
    return erasure


async def talk(client: ChatClient, stop: asyncio.Event) -> int:
    """Say something again and again; how often."""
    count = 0
    while not stop.is_set():
        await client.send(type="message", text=f"of bob {count}", client_msg_id=f"b{count}")
        count += 1
        await asyncio.sleep(0.02)
    return count


@pytest.mark.timeout(240)
async def test_nothing_of_an_erased_user_is_left(cluster: Cluster, database_url: str, tmp_path: Path) -> None:
    ann, bob, eve = [await cluster.user(name) for name in (f"{SECRET}-ann", "bob", "eve")]
    chat_id = await cluster.chat(ann, bob, eve)
    sender = await cluster.enter(1, chat_id, ann)
    readers = [await cluster.enter(1, chat_id, bob), await cluster.enter(2, chat_id, eve)]
    for number in range(TEXTS):
        await sender.send(type="message", text=f"{SECRET} {number}", client_msg_id=f"a{number}")
    for reader in readers:
        await reader.until(lambda _, reader=reader: len(reader.seqs) == TEXTS, timeout_s=60)
    stop = asyncio.Event()
    talking = asyncio.create_task(talk(readers[0], stop))

    await erase(cluster, 0, ann)
    await asyncio.sleep(0.05)
    cluster.nodes[0].kill()  # whichever node works on it, the others end it
    assert (await sender.closed())[0] == 4401

    erasure = await finished(cluster, 1, ann)
    stop.set()
    said = await talking
    assert erasure["erased_messages"] == TEXTS
    last = 2 * TEXTS + said
    for reader in readers:
        await reader.until(lambda _, reader=reader: reader.seqs[-1:] == [last], timeout_s=30)
        assert reader.seqs == list(range(1, last + 1))
        deleted = {frame["data"]["id"] for frame in reader.of_type("message") if frame["data"]["is_deleted"]}
        assert len(deleted) == TEXTS
    for node, user in ((1, bob), (2, eve)):
        later = await cluster.connect(node, chat_id, user, since=0)
        await later.next("caught_up")
        assert later.seqs == list(range(1, last + 1))
        assert SECRET not in json.dumps(later.frames)
    assert SECRET.encode() not in dump(database_url, tmp_path)
