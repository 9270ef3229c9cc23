"""Hostile clients, and honest ones in the worst order: all clients agree on one history."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import WebSocketException

from storage.database.database import open_database
from storage.log.chat_log import open_chat_log
from storage.records import ChatKind, EventKind, NewEvent, NewMember, Outcome, Role
from tests.support.chat_client import ChatClient, Frame
from tests.support.cluster import Cluster, User, run_cluster
from tests.support.native_client import NativeClient, native

IMPOSSIBLE = ("9223372036854775807", "99999999999999999999999", "-1", "1.5", "x", "", "other:0", ":1", "5:5:5")
"""None of them is a position of any history of ours."""


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, sqlite_url: str) -> AsyncIterator[Cluster]:
    settings = {"MESSAGES_PER_MINUTE": 0, "SECOND_CONNECTION": "allow", "DRAIN_S": 4}
    async with run_cluster(tmp_path, redis_url, sqlite_url, **settings) as cluster:
        yield cluster


# --- positions


async def test_impossible_position_gets_reset_in_every_dialect(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chat = await cluster.chat(ann, bob)
    members = [NewMember(user_id=bob.id, role=Role.CLIENT), NewMember(user_id=ann.id, role=Role.MASTER)]
    service, _ = await cluster.chats.create_chat(ann.id, ChatKind.SERVICE, "test", members)
    paths = {
        f"/ws/chat/{chat}/": ann.token,
        f"/ws/service-chats/{service.id}": ann.token,
        "/channels/public": ann.token,
    }
    paths["/updates/r"] = await cluster.guest_token("guest", "r")
    many = await native(cluster, 1, ann)
    for path, token in paths.items():
        for since in (*IMPOSSIBLE, "1"):  # 1 is beyond the last of an empty chat
            client = await cluster.open(0, path, token, since=since)
            reset = await client.next("reset")
            assert reset["last_seq"] == 0, (path, since)
            await client.close()
            client = await cluster.open(1, path, token, since=f"{reset['epoch']}:0")
            assert (await client.next("caught_up"))["seq"] == 0
            await client.close()
    for since in IMPOSSIBLE[:-1]:
        assert (await many.ask("subscribe", chat_id=chat, since=since))["type"] == "ack"
        assert (await many.next("reset"))["last_seq"] == 0
    assert (await many.ask("subscribe", chat_id=chat, since=2**63 - 1))["type"] == "ack"
    assert (await many.next("reset"))["last_seq"] == 0
    for bad in (2**63, -1, 1.5, True, [1], {}):
        assert (await many.ask("subscribe", chat_id=chat, since=bad))["code"] == "invalid_field"
    left = await cluster.enter(0, chat, ann, since="9223372036854775807")
    await left.say("clients that reloaded are live")
    await many.until(lambda _: many.seqs == [1])


# --- ids


async def test_client_msg_id_is_unique_per_user_and_chat_over_kinds(cluster: Cluster) -> None:
    ann, bob = await cluster.user("ann"), await cluster.user("bob")
    chats = [await cluster.chat(ann, bob) for _ in range(2)]
    here, there = await native(cluster, 0, ann), await native(cluster, 1, ann)
    other = await native(cluster, 1, bob)
    for chat in chats:
        first, second = [await c.ack("message", chat_id=chat, text="one", client_msg_id="k") for c in (here, other)]
        assert (first["seq"], second["seq"]) == (1, 2)
        mine = first["message_id"]

        async def edit(client: NativeClient, key: str, text: str, c: int = chat, m: int = mine) -> Frame:
            return await client.ask("edit_message", chat_id=c, message_id=m, text=text, client_msg_id=key)

        assert (await edit(here, "k", "one"))["code"] == "id_reused", "the message has it"
        edits = [await edit(here, "e1", "two"), await edit(there, "e2", "three"), await edit(there, "e1", "two")]
        assert [answer["seq"] for answer in edits] == [3, 4, 3]
        assert edits[2]["duplicate"] is True
        assert (await edit(there, "e1", "four"))["code"] == "id_reused"
        assert (await here.ask("message", chat_id=chat, text="two", client_msg_id="e1"))["code"] == "id_reused"
        assert (await edit(other, "e1", "two"))["code"] == "forbidden", "another's message, and a free id"
        gone = [
            await client.ack("delete_message", chat_id=chat, message_id=mine, client_msg_id="d")
            for client in (here, there)
        ]
        assert [(answer["seq"], "duplicate" in answer) for answer in gone] == [(5, False), (5, True)]
        assert (await edit(here, "e3", "back?"))["code"] == "not_found"
        again = await there.ack("message", chat_id=chat, text="one", client_msg_id="k")
        assert (again["seq"], again["duplicate"]) == (1, True), "a deleted message's retry stores nothing"
        assert (await edit(here, "e2", "three"))["duplicate"] is True
    reader = await cluster.enter(1, chats[0], bob, since=0)
    await reader.next("caught_up")
    assert [(f["data"]["seq"], f["data"]["text"]) for f in reader.of_type("message")] == [
        (1, ""), (2, "one"), (3, ""), (4, ""), (5, "")
    ]  # fmt: skip


# --- leaving in the midst of a replay


async def test_replay_cut_by_drain_continues_elsewhere_without_gap(cluster: Cluster, sqlite_url: str) -> None:
    ann = await cluster.user("ann")
    chat = await cluster.chat(ann)
    count = 2000
    async with open_database(sqlite_url) as database, open_chat_log(database) as log:
        stored: list[Outcome] = []
        for number in range(count):
            event = NewEvent(chat, ann.person, f"m{number}", EventKind.MESSAGE, "\x01" * 1000)  # 6 kB of JSON
            log.submit(event, stored.append)
        while len(stored) < count:
            await asyncio.sleep(0.01)
    clients = [await cluster.connect(0, chat, ann, since=0) for _ in range(4)]
    os.kill(cluster.nodes[0].pid, signal.SIGTERM)
    for client in clients:
        assert (await client.closed())[0] == 4000
    assert any(len(client.seqs) < count for client in clients), "some were cut"
    for client in clients:
        await client.close()
        seen = client.seqs
        assert seen == list(range(1, len(seen) + 1))
        back = await cluster.connect(1, chat, ann, since=len(seen))
        assert (await back.next("caught_up"))["seq"] == count
        assert seen + back.seqs == list(range(1, count + 1))
        await back.close()


# --- all of it at once


@dataclass
class Actor:
    """A user that performs all actions in random order over any node and records what each socket received."""

    cluster: Cluster
    user: User
    chat: int
    dice: random.Random
    sockets: list[list[Frame]] = field(default_factory=list)
    acked: dict[str, int] = field(default_factory=dict)
    """The permanent seq by client_msg_id."""
    commands: list[dict[str, Any]] = field(default_factory=list)
    mine: list[int] = field(default_factory=list)
    position: int = 0

    async def act(self, until: Callable[[], bool]) -> None:
        """Come, do some things, go, and come back where it was or a little before."""
        while not until():
            with suppress(WebSocketException, OSError, TimeoutError, ConnectionError):
                since = max(0, self.position - self.dice.randrange(4))
                node = self.dice.randrange(2)
                async with asyncio.timeout(5):
                    client = await ChatClient.connect(
                        self.cluster.nodes[node].chat_url(self.chat, since=since), self.user.token
                    )
                async with client:
                    self.sockets.append(client.frames)
                    for _ in range(self.dice.randrange(1, 25)):
                        await client.send(**self.next_command())
                        await asyncio.sleep(self.dice.random() * 0.02)
                        self.learn(client.frames)
                    if self.dice.random() < 0.3:
                        client.socket.transport.abort()
                self.learn(client.frames)
            await asyncio.sleep(0.02)

    def next_command(self) -> dict[str, Any]:
        """A new one, or one of old again."""
        roll = self.dice.random()
        if self.commands and roll < 0.25:
            return self.dice.choice(self.commands[-40:])
        key = f"{self.user.id}.{len(self.commands)}"
        if self.mine and roll < 0.6:
            id_ = self.dice.choice(self.mine)
            command = {"type": "edit_message", "id": id_, "text": f"edit {key}", "client_msg_id": key}
            if roll < 0.35:
                command = {"type": "delete_message", "id": id_, "client_msg_id": key}
        else:
            command = {"type": "message", "text": f"text {key}", "client_msg_id": key}
        self.commands.append(command)
        return command

    def learn(self, frames: list[Frame]) -> None:
        """From everything that came: acks, own messages, the position."""
        for frame in frames:
            if frame["type"] != "message":
                continue
            data = frame["data"]
            if "duplicate" not in frame:
                self.position = max(self.position, data["seq"])
            if data["sender"]["id"] == self.user.id:
                assert self.acked.setdefault(data["client_msg_id"], data["seq"]) == data["seq"]
                if data["id"] not in self.mine:
                    self.mine.append(data["id"])


@pytest.mark.parametrize("seed", [1])
async def test_random_actions_leave_one_agreed_history(cluster: Cluster, seed: int) -> None:
    users = [await cluster.user("user") for _ in range(5)]
    chat = await cluster.chat(*users)
    actors = [Actor(cluster, user, chat, random.Random(f"{seed}.{n}")) for n, user in enumerate(users)]
    is_over = asyncio.Event()

    async def restart() -> None:
        for node in cluster.nodes:
            await asyncio.sleep(2)
            node.kill()
            await asyncio.sleep(0.5)
            await asyncio.to_thread(node.start)
        await asyncio.sleep(2)
        is_over.set()

    work: list[Awaitable[None]] = [actor.act(is_over.is_set) for actor in actors]
    await asyncio.gather(restart(), *work)
    reader = await cluster.enter(0, chat, users[0], since=0)
    last = (await reader.next("caught_up"))["seq"]
    truth = {frame["data"]["seq"]: frame["data"] for frame in reader.of_type("message")}
    assert list(truth) == list(range(1, last + 1))
    assert last > 200
    places = {data["client_msg_id"]: seq for seq, data in truth.items()}
    assert len(places) == last, "every command stands there once"
    for actor in actors:
        assert actor.acked.items() <= places.items(), "what was acknowledged is there, where it was said to be"
        for frames in actor.sockets:
            check_socket(frames, truth)


def check_socket(frames: list[Frame], truth: dict[int, dict[str, Any]]) -> None:
    """Check the pushes of a socket: no gap, one history, and no text of a message that it knows as deleted."""
    pushes = [frame["data"] for frame in frames if frame["type"] == "message" and "duplicate" not in frame]
    seqs = [data["seq"] for data in pushes]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs))) if seqs else True
    deleted: set[int] = set()
    for data in pushes:
        assert data["id"] == truth[data["seq"]]["id"]
        assert data["id"] not in deleted or data["text"] == ""
        if data["is_deleted"]:
            assert data["text"] == ""
            deleted.add(data["id"])
