"""Seed 003's public channel over two nodes: every client gets the whole history, of any length, and is then live."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from storage.database.database import open_database
from storage.log.chat_log import open_chat_log
from storage.records import Committed, EventKind, NewEvent, Outcome
from storage.repositories.chats import Chats
from storage.repositories.public_channel import PublicChannelRepository
from tests.support.chat_client import ChatClient
from tests.support.cluster import Cluster, User, run_cluster
from tests.support.machine_speed import slowness

PATH = "/channels/public"
BATCH = 1000
PAGES_BYTES = 64 * 1024 * 1024
"""What a node may keep of recent events, over all chats."""
SLACK_BYTES = 32 * 1024 * 1024
"""What else it may take: the frames of 100,000 messages are 30 MB."""
MAX_WAIT_S = 1.0
"""For a live message meanwhile, on a busy machine, with client and server on two cores."""


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, database_url, MESSAGES_PER_MINUTE=0) as cluster:
        yield cluster


async def enter(cluster: Cluster, node: int, user: User, **query: object) -> ChatClient:
    client = await cluster.open(node, PATH, user.token, **query)
    await client.next("caught_up")
    return client


async def fill(database_url: str, user: User, count: int) -> int:
    """Store so many messages of the user's in the channel; its id."""
    async with open_database(database_url) as database, open_chat_log(database) as log:
        admission, _ = await PublicChannelRepository(database, Chats(database)).enter(user.id)
        for start in range(0, count, BATCH):
            answers: list[asyncio.Future[Outcome]] = []
            for number in range(start, min(start + BATCH, count)):
                answers.append(asyncio.get_running_loop().create_future())
                event = NewEvent(admission.chat_id, user.person, f"s{number}", EventKind.MESSAGE, f"stored {number}")
                log.submit(event, answers[-1].set_result)
            outcomes = await asyncio.gather(*answers)
            assert all(isinstance(outcome, Committed) for outcome in outcomes)
        return admission.chat_id


def rss(cluster: Cluster, node: int) -> int:
    """The bytes of memory that a node has now."""
    status = Path(f"/proc/{cluster.nodes[node].pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))


async def test_concurrent_first_users_share_one_channel(cluster: Cluster) -> None:
    users = [await cluster.user() for _ in range(6)]
    clients = await asyncio.gather(*(enter(cluster, i % 2, user) for i, user in enumerate(users)))
    assert len({client.frames[0]["chat_id"] for client in clients}) == 1
    for client in clients:
        await client.say("hello")
    for client in clients:
        await client.until(lambda _, client=client: len(client.seqs) == len(users))
        assert client.seqs == list(range(1, len(users) + 1))


async def test_text_that_is_no_json_object_is_a_message(cluster: Cluster) -> None:
    ann, bob = await enter(cluster, 0, await cluster.user()), await enter(cluster, 1, await cluster.user())
    for text in ("Привет всем!", "[1, 2]", "5", "{"):
        await ann.send_raw(text)
        for client in (ann, bob):
            assert (await client.next("message"))["data"]["text"] == text
    await ann.send_raw("")
    assert (await ann.next("error"))["code"] == "empty_text"
    await ann.send(type="ping")
    await ann.next("pong")


async def test_new_client_gets_all_messages_and_resumed_client_missed(cluster: Cluster) -> None:
    ann = await enter(cluster, 0, await cluster.user())
    for number in range(3):
        await ann.say(f"m{number}")
    newcomer = await cluster.user()
    first = await enter(cluster, 1, newcomer)
    assert first.seqs == [1, 2, 3]
    await first.close()
    await ann.say("missed")
    again = await enter(cluster, 0, newcomer, since=3)
    assert again.seqs == [4]


async def test_channel_history_survives_restart_of_every_node(cluster: Cluster) -> None:
    ann = await cluster.user()
    await (await enter(cluster, 0, ann)).say("before")
    for node in cluster.nodes:
        node.kill()
        node.start()
    late = await enter(cluster, 1, await cluster.user())
    assert [frame["data"]["text"] for frame in late.of_type("message")] == ["before"]


async def test_channel_is_listed_after_first_visit(cluster: Cluster) -> None:
    ann, bob = await cluster.user(), await cluster.user()
    await enter(cluster, 0, ann)

    async def chats(user: User) -> list[str]:
        async with httpx.AsyncClient(headers=user.headers) as http:
            listed = (await http.get(f"{cluster.nodes[1].url}/api/v1/chats")).json()["chats"]
        return [chat["kind"] for chat in listed]

    assert await chats(ann) == ["public"]
    assert await chats(bob) == []


async def test_missing_or_guest_token_is_rejected(cluster: Cluster) -> None:
    guest = await cluster.guest_token("ann", "room1")
    for token in (None, "nonsense", guest):
        with pytest.raises(InvalidStatus) as refused:
            await cluster.open(0, PATH, token)
        assert refused.value.response.status_code == 401


class Newcomer:
    """Reads the channel from its first message on, and keeps nothing but the seqs."""

    def __init__(self) -> None:
        self.seqs: list[int] = []
        self.is_live = False

    async def read(self, url: str, user: User, last_text: str) -> None:
        """Until a message with that text."""
        async with connect(url, additional_headers=user.headers, proxy=None, compression=None) as socket:
            async for payload in socket:
                frame = orjson.loads(payload)
                self.is_live |= frame["type"] == "caught_up"
                if frame["type"] == "message":
                    self.seqs.append(frame["data"]["seq"])
                    if frame["data"]["text"] == last_text:
                        return


@pytest.mark.parametrize("count", [10_000, pytest.param(100_000, marks=pytest.mark.full)])
async def test_replay_of_long_history_costs_bounded_memory_and_delay(
    cluster: Cluster, database_url: str, count: int
) -> None:
    ann, bob, eve = await cluster.user(), await cluster.user(), await cluster.user()
    await fill(database_url, ann, count)
    left, right = [await enter(cluster, 0, user, since=count) for user in (ann, bob)]
    before = peak = rss(cluster, 0)
    newcomer = Newcomer()
    reading = asyncio.create_task(newcomer.read(cluster.nodes[0].ws_url(PATH), eve, "the last"))
    waits: list[float] = []
    while not newcomer.is_live:
        text = f"live {len(waits)}"
        started = time.perf_counter()
        await left.say(text)
        await right.next("message", lambda frame, text=text: frame["data"]["text"] == text)
        waits.append(time.perf_counter() - started)
        peak = max(peak, rss(cluster, 0))
    await left.say("the last")
    await asyncio.wait_for(reading, 10)
    assert newcomer.seqs == list(range(1, count + len(waits) + 2))
    assert peak - before < PAGES_BYTES + SLACK_BYTES, f"{before >> 20} MiB became {peak >> 20}"
    assert max(waits) < MAX_WAIT_S * slowness(), f"of {len(waits)} live messages"
