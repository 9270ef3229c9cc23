"""A real standby that lacks the last commits is promoted. What they acknowledged is lost: the promise excludes that.

But no client continues with the old history: clients get a reset and then agree.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.faults.links import Link
from tests.faults.rig import in_thread
from tests.support.cluster import Cluster, User, run_cluster
from tests.support.servers import PostgresServer, PostgresStandby

TIMEOUT_S = 20.0
KEPT, LOST = 10, 5


@dataclass
class Pair:
    """A primary and its standby, and the link between them."""

    primary: PostgresServer
    standby: PostgresStandby
    replication: Link

    def has_caught_up(self) -> bool:
        """Whether the standby has everything."""
        position = self.primary.query("postgres", "SELECT pg_current_wal_flush_lsn()")
        asked = f"SELECT pg_last_wal_replay_lsn() >= '{position}'::pg_lsn"
        return self.standby.query("postgres", asked) == "t"

    async def fail_over(self) -> None:
        """Kill the primary, and let the standby succeed it."""
        await in_thread(self.primary.kill)
        await in_thread(lambda: self.standby.succeed(self.primary.port))


@pytest.fixture
async def pair(folder: Path) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        for name in ("primary", "standby"):
            (folder / name).mkdir()
        primary = await in_thread(lambda: PostgresServer(folder / "primary"))
        stack.push_async_callback(in_thread, primary.stop)
        await in_thread(primary.start)
        replication = await stack.enter_async_context(Link(primary.port))
        standby = await in_thread(lambda: PostgresStandby(folder / "standby", replication.port))
        stack.push_async_callback(in_thread, standby.stop)
        await in_thread(standby.start)
        yield Pair(primary, standby, replication)


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, pair: Pair) -> AsyncIterator[Cluster]:
    database_url = await in_thread(pair.primary.create_database)
    async with run_cluster(tmp_path, redis_url, database_url, MESSAGES_PER_MINUTE=0) as cluster:
        yield cluster


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not await in_thread(condition):
            await asyncio.sleep(0.1)


async def history(cluster: Cluster, node: int, chat: int, user: User) -> list[tuple[int, int, str]]:
    """What a client that reloads reads."""
    async with httpx.AsyncClient() as http:
        url = f"{cluster.nodes[node].url}/api/v1/chats/{chat}/messages"
        answer = await http.get(url, params={"after_seq": 0}, headers=user.headers)
    return [(message["seq"], message["id"], message["text"]) for message in answer.json()["messages"]]


async def test_failover_with_lost_commits_resets_every_client(cluster: Cluster, pair: Pair) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    left, right = await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)
    for number in range(KEPT):
        await left.say(f"kept {number}")
    await until(pair.has_caught_up)
    pair.replication.stall()
    for number in range(LOST):
        await left.say(f"lost {number}")
    await right.until(lambda _: len(right.seqs) == KEPT + LOST)
    old_epoch = left.frames[0]["epoch"]

    await pair.fail_over()

    resets = [await client.next("reset") for client in (left, right)]
    assert [reset["last_seq"] for reset in resets] == [KEPT, KEPT]
    assert {reset["epoch"] for reset in resets}.isdisjoint({old_epoch})
    said = await left.say("new")
    assert said["seq"] == KEPT + 1
    assert (await right.next("message", lambda frame: frame["data"]["text"] == "new"))["data"] == said
    # Whoever was away comes back with a position that is not any more.
    back = await cluster.enter(1, chat, ann, since=f"{old_epoch}:{KEPT + LOST}")
    assert (await back.next("reset"))["last_seq"] == KEPT + 1
    found = await history(cluster, 0, chat, ann)
    assert [seq for seq, _, _ in found] == list(range(1, KEPT + 2))
    assert found[-1] == (said["seq"], said["id"], "new")
    assert await history(cluster, 1, chat, bob) == found
