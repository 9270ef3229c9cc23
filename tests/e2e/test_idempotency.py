"""Retries over any interface and node: the message is stored once and gets the first response."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.delivery.repair import INTERVAL_S
from storage.database.database import open_database
from storage.log.chat_log import open_chat_log
from storage.records import EventKind, NewEvent, Outcome
from tests.support.cluster import Cluster, User, run_cluster
from tests.support.servers import PostgresServer


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, database_url, MESSAGES_PER_MINUTE=0) as cluster:
        yield cluster


async def post(cluster: Cluster, node: int, user: User, chat: int, text: str, key: str) -> httpx.Response:
    """Post a message under a key."""
    async with httpx.AsyncClient(headers=user.headers | {"Idempotency-Key": key}, timeout=20) as http:
        return await http.post(f"{cluster.nodes[node].url}/api/v1/chats/{chat}/messages", json={"text": text})


async def test_post_retried_on_other_node_gets_first_response(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    listener = await cluster.enter(1, chat, ann)
    first = await post(cluster, 0, ann, chat, "once", "k")
    again = await post(cluster, 1, ann, chat, "once", "k")
    other = await post(cluster, 1, ann, chat, "twice", "k")
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert again.json() == first.json()
    assert other.json()["code"] == "id_reused"
    await listener.say("end")
    assert listener.seqs == [1, 2]


async def test_same_id_over_http_and_sockets_is_one_message(cluster: Cluster) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    posts = [post(cluster, number % 2, ann, chat, "once", "k") for number in range(10)]
    answers = await asyncio.gather(*posts)
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    assert len({answer.content for answer in answers}) == 1
    client = await cluster.enter(0, chat, ann)
    await client.send(type="message", text="once", client_msg_id="k")
    frame = await client.next("message")
    message = answers[0].json()
    del message["sender"]["display_name"]  # which seed 000's form has not
    assert (frame["data"], frame["duplicate"]) == (message, True)


async def test_retry_publishes_message_that_was_only_stored(cluster: Cluster, database_url: str) -> None:
    """As if the node had died, or lost the database, between COMMIT and the answer."""
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    left, right = await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)
    async with open_database(database_url) as database, open_chat_log(database) as log:
        started = time.monotonic()
        for number in range(1, 5):
            stored: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
            log.submit(NewEvent(chat, ann.person, f"m{number}", EventKind.MESSAGE, "text"), stored.set_result)
            await stored
            if number == 4:
                await left.close()  # and over HTTP, by a node without clients in the chat
                answer = await post(cluster, 0, ann, chat, "text", f"m{number}")
                assert answer.status_code == 200
            else:
                await left.send(type="message", text="text", client_msg_id=f"m{number}")
                await left.next("message", lambda frame: "duplicate" in frame)
            await right.until(lambda _, n=number: right.seqs == list(range(1, n + 1)))
        assert time.monotonic() - started < 4 * INTERVAL_S / 2, "clients do not wait for the position check"
    assert left.seqs == [1, 2, 3]


AGE = {
    "sqlite": "UPDATE chat_log SET created_at = datetime(created_at, '-61 seconds') || '+00:00'",
    "postgres": "UPDATE chat_log SET created_at = created_at - interval '61 seconds'",
}


async def test_retry_counts_in_the_minute_of_its_stored_message(
    tmp_path: Path, redis_url: str, database_url: str
) -> None:
    """As if the tries that stored them had given their places back, since their outcome was unknown."""
    async with (
        run_cluster(tmp_path, redis_url, database_url, nodes=1, MESSAGES_PER_MINUTE=2) as cluster,
        open_database(database_url) as database,
        open_chat_log(database) as log,
    ):
        ann = await cluster.user("ann")
        chat = await cluster.chat(ann)
        for name in ("old", "young"):
            stored: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
            log.submit(NewEvent(chat, ann.person, name, EventKind.MESSAGE, "text"), stored.set_result)
            await stored
            if name == "old":
                await database.write(AGE[database_url.partition(":")[0]])
        statuses = [(await post(cluster, 0, ann, chat, "text", key)).status_code for key in ("old", "young", "a", "b")]
        assert statuses == [200, 200, 201, 429]


async def test_retried_messages_with_unknown_outcome_are_stored_once(
    tmp_path: Path, redis_url: str, postgres_url: str, postgres_server: PostgresServer
) -> None:
    """PostgreSQL is killed in the midst of commits; what is not acknowledged is sent again, to the other node."""
    async with run_cluster(tmp_path, redis_url, postgres_url, MESSAGES_PER_MINUTE=0) as cluster:
        ann = await cluster.user("ann")
        chat = await cluster.chat(ann)
        ids = [f"m{number}" for number in range(300)]
        acked: dict[str, dict[str, Any]] = {}
        client = await cluster.enter(0, chat, ann)
        for number, name in enumerate(ids):
            await client.send(type="message", text=name, client_msg_id=name)
            if number == 150:
                postgres_server.kill()
        postgres_server.start()
        # Each has its ack by now, or an error, or nothing: the client does not know which of them are stored.
        await client.close()
        note(acked, client.frames)
        async with asyncio.timeout(30):
            while len(acked) < len(ids):
                try:
                    client = await cluster.enter(1, chat, ann)
                except Exception:  # the node has not found the database yet
                    await asyncio.sleep(0.1)
                    continue
                for name in ids:
                    if name not in acked:
                        await client.send(type="message", text=name, client_msg_id=name)
                with suppress(TimeoutError):
                    await client.until(lambda _, c=client: heard_of(c) | acked.keys() == set(ids), timeout_s=2)
                note(acked, client.frames)
                await client.close()
        reader = await cluster.enter(1, chat, ann, since=0)
        await reader.next("caught_up")
        stored = {frame["data"]["client_msg_id"]: frame["data"]["seq"] for frame in reader.of_type("message")}
        assert reader.seqs == list(range(1, len(ids) + 1))
        assert stored == {name: data["seq"] for name, data in acked.items()}


def note(acked: dict[str, dict[str, Any]], frames: list[dict[str, Any]]) -> None:
    """Every ack; a second one for the same message says the same."""
    for frame in frames:
        if frame["type"] == "message":
            data = frame["data"]
            assert acked.setdefault(data["client_msg_id"], data)["seq"] == data["seq"]


def heard_of(client: Any) -> set[str]:
    """The ids of what came."""
    return {frame["data"]["client_msg_id"] for frame in client.of_type("message")}
