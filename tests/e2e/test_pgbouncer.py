"""The whole system behind pgbouncer in transaction mode, without special settings."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.support.cluster import Cluster, run_cluster
from tests.support.migrated import make_store
from tests.support.pgbouncer import TOLERANT, PgBouncer


async def talk(cluster: Cluster, name: str) -> None:
    """Send, resume and list over two nodes."""
    ann, bob = await cluster.user(f"ann-{name}-"), await cluster.user(f"bob-{name}-")
    chat = await cluster.chat(ann, bob)
    left, right = await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)
    sent = await left.say("one")
    assert (await right.next("message"))["data"] == sent
    for number in range(5):
        await right.say(f"answer {number}")
    await right.close()
    missed = await left.say("missed")
    again = await cluster.enter(1, chat, bob, since=sent["seq"])
    assert (await again.next("message", lambda frame: frame["data"]["seq"] == missed["seq"]))["data"][
        "text"
    ] == "missed"
    async with httpx.AsyncClient(base_url=cluster.nodes[1].url, headers=bob.headers) as http:
        answer = await http.get("/api/v1/chats")
        assert [row["id"] for row in answer.raise_for_status().json()["chats"]] == [chat]


@pytest.mark.parametrize("pgbouncer", ["", TOLERANT], ids=["rejects settings", "ignores settings"], indirect=True)
async def test_nodes_recover_after_restarts_of_nodes_and_pgbouncer(
    tmp_path: Path, redis_url: str, postgres_url: str, pooled_url: str, pgbouncer: PgBouncer
) -> None:
    await make_store(postgres_url)
    for start in ("first", "second"):
        async with run_cluster(tmp_path / start, redis_url, pooled_url) as cluster:
            await talk(cluster, start)
            await asyncio.to_thread(pgbouncer.restart)
            await ready(cluster)
            await talk(cluster, start)
            assert "Traceback" not in "".join(node.log for node in cluster.nodes)


async def ready(cluster: Cluster) -> None:
    """Wait until every node's database answers again."""
    async with httpx.AsyncClient() as http, asyncio.timeout(30):
        for node in cluster.nodes:
            while (await http.get(f"{node.url}/readyz")).status_code != httpx.codes.OK:
                await asyncio.sleep(0.05)
