"""Batches of messages over two nodes: their order and their limits."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.cluster import Cluster, run_cluster

KEY = {"X-Service-Key": "key-of-shop"}


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    limits = {"MESSAGES_PER_MINUTE": 1, "HTTP_REQUESTS_PER_MINUTE": 60}  # 600 of a key
    async with run_cluster(tmp_path, redis_url, database_url, SERVICE_KEYS="shop:key-of-shop", **limits) as cluster:
        yield cluster


def batch(chats: list[int], size: int, user_id: int | None = None) -> dict[str, Any]:
    fields = {} if user_id is None else {"on_behalf_of": user_id}
    items = [
        {"chat_id": chats[number % len(chats)], "text": f"{number}", "client_msg_id": f"m{number}"} | fields
        for number in range(size)
    ]
    return {"items": items}


async def test_batch_of_500_reaches_members_in_order(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chats = [await cluster.chat(ann, bob) for _ in range(5)]
    socket = await cluster.enter(1, chats[0], bob)
    async with httpx.AsyncClient(base_url=cluster.nodes[0].url, headers=KEY, timeout=30) as http:
        answer = await http.post("/api/v1/messages", json=batch(chats, 500, ann.id))
        results = answer.json()["results"]
        assert [result["status"] for result in results] == [201] * 500
        await socket.until(lambda _: len(socket.seqs) == 100)
        assert socket.seqs == list(range(1, 101))
        assert [frame["data"]["text"] for frame in socket.of_type("message")] == [str(n) for n in range(0, 500, 5)]
        beyond = await http.post("/api/v1/messages", json=batch(chats, 500, ann.id))
        assert (beyond.status_code, beyond.json()["code"]) == (429, "rate_limited")
        again = await http.post("/api/v1/messages", json=batch(chats, 50, ann.id))
        assert {result["status"] for result in again.json()["results"]} == {200}
