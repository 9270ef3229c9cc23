"""A store whose history went back: after a failover that lost commits, or a restored backup."""

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.database.database import open_database
from tests.support.chat_client import ChatClient
from tests.support.cluster import Cluster, run_cluster
from tests.support.native_client import native


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, database_url: str) -> AsyncIterator[Cluster]:
    async with run_cluster(tmp_path, redis_url, database_url, MESSAGES_PER_MINUTE=0) as cluster:
        yield cluster


async def restore(database_url: str, chat: int, last_seq: int) -> None:
    """Take the chat back to where it was, as a backup would, and say so as an operator does."""
    async with open_database(database_url) as database:
        await database.write(f"DELETE FROM chat_log WHERE chat_id = {chat} AND seq > {last_seq} RETURNING id")
        await database.write(f"UPDATE chats SET last_seq = {last_seq} WHERE id = {chat} RETURNING id")
    command = ["/usr/bin/env", f"DATABASE_URL={database_url}", "APP_ENV=development", sys.executable]
    subprocess.run([*command, "-m", "gateway.cli", "migrate", "--restored"], check=True)


async def test_connected_client_gets_reset_and_restored_history(cluster: Cluster, database_url: str) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    left, right = await cluster.enter(0, chat, ann), await cluster.enter(1, chat, bob)
    for number in range(10):
        await left.say(f"old {number}")
    await right.until(lambda _: len(right.seqs) == 10)
    old_epoch = left.frames[0]["epoch"]

    await restore(database_url, chat, 6)

    resets = [await client.next("reset") for client in (left, right)]
    assert [reset["last_seq"] for reset in resets] == [6, 6]
    assert {reset["epoch"] for reset in resets} != {old_epoch}
    said = await left.say("new 7")
    assert said["seq"] == 7
    assert (await right.next("message", lambda frame: frame["data"]["text"] == "new 7"))["data"] == said
    assert left.seqs == right.seqs == [*range(1, 11), 7]


async def test_ack_position_is_valid_until_a_restore(cluster: Cluster, database_url: str) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    client = await native(cluster, 0, ann)  # not subscribed: it has no other position
    acks = [await client.ack("message", chat_id=chat, text=f"old {number}") for number in range(4)]
    since = [f"{ack['epoch']}:{ack['seq']}" for ack in acks]
    other = await native(cluster, 1, ann)
    await other.ack("subscribe", chat_id=chat, since=since[1])
    assert (await other.next("caught_up"))["seq"] == 4
    assert other.seqs == [3, 4]

    await restore(database_url, chat, 2)

    again = await native(cluster, 1, ann)
    await again.ack("subscribe", chat_id=chat, since=since[1])
    assert (await again.next("reset"))["last_seq"] == 2


async def test_resume_with_position_of_old_epoch_gets_reset(cluster: Cluster, database_url: str) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    stays = await cluster.enter(0, chat, ann)
    for number in range(4):
        await stays.say(f"old {number}")
    old_epoch = stays.frames[0]["epoch"]

    await restore(database_url, chat, 2)

    # At once, before the node has looked by itself: the position in memory is still the old one.
    back = await cluster.enter(0, chat, bob, since=f"{old_epoch}:4")
    reset = await back.next("reset")
    assert (reset["last_seq"], reset["epoch"]) == (2, back.frames[0]["epoch"])
    assert reset["epoch"] != old_epoch
    said = await back.say("new 3")
    assert said["seq"] == 3
    assert (await stays.next("message", lambda frame: frame["data"]["text"] == "new 3"))["data"] == said

    again: ChatClient = await cluster.enter(1, chat, ann, since=f"{reset['epoch']}:2")
    assert (await again.next("message"))["data"] == said
    assert (await again.next("caught_up"))["seq"] == 3
