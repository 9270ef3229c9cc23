"""The user feed of one node: the recipients, contents and times of its notices."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from gateway.dialects.native import NativeDialect
from gateway.node.local_clients import LocalClients
from gateway.node.user_feed import CHATS_A_MESSAGE, SLICE, UserFeed
from gateway.protocol.control import Activity, MembersChanged
from gateway.protocol.frames import NOT_DIRECT
from gateway.protocol.replies import Reply
from storage.errors import StorageUnavailable
from storage.records import Person
from tests.gateway.node.notices import Broker, Registry
from tests.support.waiting import eventually


class Chats:
    """Users' chats; `gate` holds an answer back, `is_away` refuses it."""

    def __init__(self, chats: dict[int, set[int]]) -> None:
        self.chats = chats
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_away = False
        self.asked: list[list[int]] = []

    async def chat_ids_of(self, user_ids: Sequence[int]) -> dict[int, set[int]]:
        self.asked.append(list(user_ids))
        found = {user_id: set(self.chats.get(user_id, ())) for user_id in user_ids}
        await self.gate.wait()
        if self.is_away:
            raise StorageUnavailable("away")
        return found


class Socket:
    """A socket with the notices of its user; `told` has everything sent, as JSON."""

    fd = NOT_DIRECT
    dialect = NativeDialect()
    client_id = "c"

    def __init__(self, user_id: int, *subscribed: int) -> None:
        self.person = Person(user_id, "somebody")
        self.connection_id = str(id(self))
        self.subscribed = subscribed
        self.told: list[dict[str, Any]] = []
        self.outlet = self

    def is_subscribed(self, chat_id: int) -> bool:
        return chat_id in self.subscribed

    def queue(self, frames: bytes) -> bool:
        left = frames
        while left:
            size = left[1]
            self.told.append(orjson.loads(left[2 : 2 + size]))
            left = left[2 + size :]
        return True

    def tell(self, reply: Reply) -> None:
        self.told.append(orjson.loads(self.dialect.reply(reply, None) or b""))


class World:
    """A feed with what it stands on."""

    def __init__(self, chats: dict[int, set[int]]) -> None:
        self.local_clients, self.broker, self.chats = LocalClients(Registry()), Broker(), Chats(chats)
        self.feed = UserFeed("here", self.local_clients, self.chats, self.broker)  # type: ignore[arg-type]

    def come(self, user_id: int, *subscribed: int) -> Socket:
        socket = Socket(user_id, *subscribed)
        self.local_clients.add(socket)  # type: ignore[arg-type]
        self.feed.follow(user_id)
        return socket

    def go(self, socket: Socket) -> None:
        self.local_clients.remove(socket)  # type: ignore[arg-type]
        self.feed.unfollow(socket.person.id)

    async def read(self) -> None:
        """Wait until everybody's chats are known."""
        await eventually(lambda: not self.feed._unread and all(f.is_known for f in self.feed._followers.values()))


@asynccontextmanager
async def world(chats: dict[int, set[int]]) -> AsyncIterator[World]:
    made = World(chats)
    running = asyncio.create_task(made.feed.run())
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def activity(chat_id: int, seq: int) -> dict[str, object]:
    return {"type": "chat_activity", "chat_id": chat_id, "last_seq": seq}


async def test_members_get_latest_activity_of_unsubscribed_chats() -> None:
    async with world({1: {5, 6}, 2: {6}}) as w:
        first, second, watcher = w.come(1), w.come(1), w.come(2, 6)
        await w.read()
        for seq in range(1, 51):
            w.feed.on_stored(5, seq)
        w.feed.take(Activity("there", [(6, 9), (7, 1)]))
        await eventually(lambda: len(first.told) == 2)
        assert first.told == second.told == [activity(5, 50), activity(6, 9)]
        assert watcher.told == []
        assert w.broker.announced == [Activity("here", [(5, 50)])]


async def test_activity_of_large_chat_is_sent_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other work of the node has a turn after every SLICE sockets."""
    users = range(1, 3 * SLICE + 1)
    async with world({user_id: {5} for user_id in users}) as w:
        sockets = [w.come(user_id) for user_id in users]
        sockets.append(w.come(1))
        await w.read()
        monkeypatch.setattr(Socket, "queue", lambda socket, frames: socket.told.append(frames) is None)
        w.feed.on_stored(5, 1)
        counts = [0]
        while counts[-1] < len(sockets):
            await asyncio.sleep(0)
            if (count := sum(len(socket.told) for socket in sockets)) != counts[-1]:
                counts.append(count)
        assert counts == [0, SLICE, 2 * SLICE, 3 * SLICE, 3 * SLICE + 1]
        assert len({id(socket.told[0]) for socket in sockets}) == 1, "the same bytes for all"


async def test_own_announcement_of_node_is_ignored() -> None:
    async with world({1: {5}}) as w:
        socket = w.come(1)
        await w.read()
        w.feed.take(Activity("here", [(5, 9)]))
        w.feed.take(Activity("there", [(5, 8)]))
        await eventually(lambda: bool(socket.told))
        assert socket.told == [activity(5, 8)]


async def test_many_chats_are_announced_in_parts() -> None:
    async with world({}) as w:
        for chat_id in range(1, CHATS_A_MESSAGE + 2):
            w.feed.on_stored(chat_id, 1)
        await eventually(lambda: len(w.broker.announced) == 2)
        assert [len(said.positions) for said in w.broker.announced if isinstance(said, Activity)] == [
            CHATS_A_MESSAGE,
            1,
        ]


async def test_concurrent_connects_cause_one_query() -> None:
    async with world({}) as w:
        for user_id in range(1, 101):
            w.come(user_id)
            w.come(user_id)
        await w.read()
        assert sorted(w.chats.asked[0]) == list(range(1, 101)) and len(w.chats.asked) == 1


async def test_changes_are_sent_once_and_announced_to_other_nodes() -> None:
    async with world({1: {5}}) as w:
        socket = w.come(1)
        await w.read()
        w.feed.change_members(6, [1, 2], removed=False)
        w.feed.take(MembersChanged(6, [1, 2], removed=False))  # its own, back from Redis
        w.feed.on_evicted(5, 1)
        w.feed.take(MembersChanged(5, [1], removed=True))
        assert socket.told == [{"type": "chat_added", "chat_id": 6}, {"type": "chat_removed", "chat_id": 5}]
        assert w.broker.announced == [MembersChanged(6, [1, 2], removed=False)]
        w.feed.take(Activity("there", [(5, 1), (6, 1)]))
        await eventually(lambda: len(socket.told) == 3)
        assert socket.told[2] == activity(6, 1)


async def test_end_of_a_late_subscription_is_told_again() -> None:
    """The removal was told while the subscription was being made."""
    async with world({1: {5}}) as w:
        socket = w.come(1)
        w.feed.on_admitted(5, 1)  # before the chats are loaded, nothing is lacking
        await w.read()
        w.feed.on_admitted(5, 1)
        w.feed.on_admitted(5, 2)  # who has no socket here
        w.feed.take(MembersChanged(5, [1], removed=True))
        w.feed.on_admitted(5, 1)
        w.feed.on_evicted(5, 1)
        w.feed.on_evicted(5, 1)
        assert [said["type"] for said in socket.told] == ["chat_removed", "chat_added", "chat_removed"]


async def test_change_during_a_read_overrides_its_result() -> None:
    async with world({1: {5}}) as w:
        w.chats.gate.clear()
        socket = w.come(1)
        await eventually(lambda: bool(w.chats.asked))
        for _ in range(2):
            w.feed.take(MembersChanged(5, [1], removed=True))
            w.feed.take(MembersChanged(6, [1], removed=False))
        w.chats.gate.set()
        await w.read()
        assert socket.told == [{"type": "chat_removed", "chat_id": 5}, {"type": "chat_added", "chat_id": 6}]
        w.feed.take(Activity("there", [(5, 1), (6, 1)]))
        await eventually(lambda: len(socket.told) == 3)
        assert socket.told[2] == activity(6, 1)


async def test_missed_changes_are_sent_after_a_check() -> None:
    async with world({1: {5, 6}}) as w:
        socket = w.come(1)
        await w.read()
        w.chats.chats[1] = {6, 7}
        w.feed.check_soon()
        await eventually(lambda: len(socket.told) == 2)
        assert sorted(socket.told, key=str) == [
            {"type": "chat_added", "chat_id": 7},
            {"type": "chat_removed", "chat_id": 5},
        ]


async def test_unreachable_store_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.node.user_feed.RETRY_S", 0.01)
    async with world({1: {5}}) as w:
        w.chats.is_away = True
        socket = w.come(1)
        await eventually(lambda: len(w.chats.asked) > 1)
        w.chats.is_away = False
        await w.read()
        w.feed.on_stored(5, 1)
        await eventually(lambda: socket.told == [activity(5, 1)])


async def test_disconnected_users_leave_no_state() -> None:
    async with world({1: {5, 6}, 2: {6}}) as w:
        sockets = [w.come(1), w.come(1), w.come(2)]
        await w.read()
        w.go(sockets[0])
        assert w.feed._users == {5: {1}, 6: {1, 2}}
        w.go(sockets[1])
        assert w.feed._users == {6: {2}}
        w.go(sockets[2])
        assert (
            not w.feed._users and not w.feed._followers and not w.local_clients._users and not w.local_clients._clients
        )
