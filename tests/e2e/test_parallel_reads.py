"""Thirty large lists at once by one user: another user's read hardly waits, and the rest is told to come back."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median

import httpx
import pytest

from storage.records import NewMember
from tests.support.cluster import Cluster, User, run_cluster

CHATS, MEMBERS = 500, 12
PARALLEL = 30


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, postgres_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path / "nodes", redis_url, postgres_url, nodes=1) as cluster:
        yield cluster


async def timed(http: httpx.AsyncClient, user: User) -> float:
    started = time.perf_counter()
    answer = await http.get("/api/v1/chats", headers=user.headers)
    assert answer.status_code == 200
    return time.perf_counter() - started


@pytest.mark.timeout(300)
async def test_parallel_lists_of_one_user_leave_room_for_others(cluster: Cluster) -> None:
    greedy, other = await cluster.user(), await cluster.user()
    crowd = [NewMember(user_id=(await cluster.user()).id) for _ in range(MEMBERS)]
    for _ in range(CHATS):
        await cluster.chats.create_chat(greedy.id, "group", "large", crowd)  # type: ignore[arg-type]
    await cluster.chat(other, greedy)
    async with httpx.AsyncClient(
        base_url=cluster.nodes[0].url, timeout=120, limits=httpx.Limits(max_connections=100), trust_env=False
    ) as http:
        alone = [await timed(http, greedy) for _ in range(3)]
        idle = [await timed(http, other) for _ in range(20)]
        statuses: Counter[int] = Counter()

        async def flood() -> None:
            while True:
                answers = await asyncio.gather(
                    *(http.get("/api/v1/chats", headers=greedy.headers) for _ in range(PARALLEL))
                )
                statuses.update(answer.status_code for answer in answers)

        flooding = asyncio.create_task(flood())
        try:
            await asyncio.sleep(0.5)
            waits = [await timed(http, other) for _ in range(20)]
        finally:
            flooding.cancel()
            await asyncio.gather(flooding, return_exceptions=True)
        answers = await asyncio.gather(*(http.get("/api/v1/chats", headers=greedy.headers) for _ in range(PARALLEL)))
    # behind the two that are read at a time, not behind all
    assert median(waits) <= 3 * median(idle) + 4 * median(alone), (median(waits), median(idle), median(alone))
    statuses.update(answer.status_code for answer in answers)
    assert set(statuses) == {200, 429}
    assert all("retry-after" in answer.headers for answer in answers if answer.status_code == 429)
