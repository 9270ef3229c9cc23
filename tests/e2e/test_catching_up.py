"""Events that a node never received are found in the store, and a reconnect storm causes few reads there."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.delivery.repair import INTERVAL_S
from storage.database.database import open_database
from storage.log.chat_log import StoredChatLog, open_chat_log
from storage.records import Committed, EventKind, NewEvent, Outcome
from tests.support.cluster import Cluster, User, run_cluster

COMERS = 300


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, sqlite_url: str) -> AsyncIterator[Cluster]:
    settings = {"MESSAGES_PER_MINUTE": 0, "SECOND_CONNECTION": "allow"}
    async with run_cluster(tmp_path, redis_url, sqlite_url, **settings) as cluster:
        yield cluster


@pytest.fixture
async def dead_node(sqlite_url: str, cluster: Cluster) -> AsyncIterator[StoredChatLog]:
    """The log of a node that dies after each COMMIT, and before it tells anyone."""
    async with open_database(sqlite_url) as database, open_chat_log(database) as log:
        yield log


async def store(log: StoredChatLog, chat: int, user: User, number: int) -> None:
    stored: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    log.submit(NewEvent(chat, user.person, f"m{number}", EventKind.MESSAGE, f"{number}"), stored.set_result)
    assert isinstance(await stored, Committed)


async def pages_read(cluster: Cluster, node: int) -> dict[str, float]:
    """How many pages of replays came from memory and how many from the store, and how many holes were read."""
    async with httpx.AsyncClient() as http:
        lines = (await http.get(f"{cluster.nodes[node].url}/metrics")).text.splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    sources = {source: f'chat_gateway_replay_pages_total{{source="{source}"}}' for source in ("memory", "store")}
    names = sources | {"holes": "chat_gateway_gaps_total"}
    return {key: float(values[name]) for key, name in names.items()}


async def test_unpublished_last_message_reaches_clients_of_every_node(
    cluster: Cluster, dead_node: StoredChatLog
) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    clients = [await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)]
    await store(dead_node, chat, ann, 1)
    for client in clients:
        await client.until(lambda _, c=client: c.seqs == [1], timeout_s=INTERVAL_S + 2)


async def test_reconnect_storm_after_node_death_costs_few_store_reads(
    cluster: Cluster, dead_node: StoredChatLog
) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    stays = await cluster.enter(1, chat, ann)
    for number in range(1, 21):
        await stays.say(f"{number}")
    before = await pages_read(cluster, 1)
    await store(dead_node, chat, ann, 21)  # which all who were connected to the dead node have seen
    comers = await asyncio.gather(
        *(cluster.connect(1, chat, ann, since=21 if number % 2 else number % 20) for number in range(COMERS))
    )
    for number, comer in enumerate(comers):
        assert (await comer.next("caught_up"))["seq"] >= 20
        await comer.until(lambda _, c=comer, n=number: n % 2 or c.seqs[-1:] == [21])
    after = await pages_read(cluster, 1)
    assert after["memory"] - before["memory"] >= COMERS / 2
    assert after["store"] - before["store"] <= 1
    assert after["holes"] - before["holes"] <= 3
    await stays.until(lambda _: stays.seqs == list(range(1, 22)))
