"""Reading history over a socket and over HTTP, with texts of any length."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.delivery.history import PAGE_BYTES
from tests.support.chat_client import ChatClient
from tests.support.cluster import Cluster, run_cluster

COUNT = 200
CONTROL = "x" + "\x01" * 999
"""Six bytes of JSON each: all of them together would be 1.2 MB, more than a send queue takes."""


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, sqlite_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, sqlite_url, nodes=1, MESSAGES_PER_MINUTE=0) as cluster:
        yield cluster


async def fill(client: ChatClient) -> None:
    """Say it so often."""
    for _ in range(COUNT):
        await client.say(CONTROL)


async def test_longest_texts_are_paged_forward_and_backward(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    client = await cluster.enter(0, chat, ann)
    await fill(client)
    forward: list[int] = []
    backward: list[int] = []
    while len(forward) < COUNT:
        await client.send(type="history", after_seq=forward[-1] if forward else 0, limit=200)
        forward += [message["seq"] for message in (await client.next("history"))["messages"]]
    while len(backward) < COUNT:
        before = {"before_seq": backward[0]} if backward else {}
        await client.send(type="history", limit=200, **before)
        backward = [message["seq"] for message in (await client.next("history"))["messages"]] + backward
    assert forward == backward == list(range(1, COUNT + 1))
    assert len(client.of_type("history")) > 4

    pages: list[list[dict[str, Any]]] = []
    async with httpx.AsyncClient(headers=ann.headers, base_url=cluster.nodes[0].url) as http:
        after = 0
        while not pages or pages[-1]:
            answer = await http.get(f"/api/v1/chats/{chat}/messages", params={"after_seq": after, "limit": 200})
            assert len(answer.content) < PAGE_BYTES + 200
            pages.append(answer.json()["messages"])
            after += len(pages[-1])
    assert [message["seq"] for page in pages for message in page] == forward


async def test_many_history_requests_at_once_are_delayed_not_closed(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    client = await cluster.enter(0, chat, ann)
    await fill(client)
    for _ in range(40):
        await client.send(type="history", after_seq=0, limit=200)
    await client.until(lambda _: len(client.of_type("history")) == 40, timeout_s=30)
    await asyncio.wait_for(client.say("still here"), 10)
