"""Read positions on one node: the sockets of a user that are notified, and the costs."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from gateway.delivery.hub import LocalChat
from gateway.delivery.subscription import Subscription, SubscriptionRegistry
from gateway.dialects.base import Dialect
from gateway.dialects.chat import ChatDialect
from gateway.dialects.native import NativeDialect
from gateway.dialects.service import ServiceDialect
from gateway.interfaces.presence import Seat
from gateway.node.local_clients import LocalClients
from gateway.node.read_positions import PAIRS_A_MESSAGE, ReadPositions
from gateway.protocol.claim import Claim
from gateway.protocol.control import PositionsMoved
from gateway.protocol.replies import Reply
from storage.errors import StorageUnavailable
from storage.records import Person, ReadPosition
from tests.gateway.node.notices import Broker, Registry
from tests.support.waiting import eventually

CHAT, BOB = 5, Person(2, "bob")


class Positions:
    """The store; `is_away` refuses an answer, `asked` is every query."""

    def __init__(self) -> None:
        self.seqs: dict[tuple[int, int], int] = {}
        self.asked: list[list[tuple[int, int]]] = []
        self.is_away = False

    async def read_positions(self, pairs: Sequence[tuple[int, int]]) -> dict[tuple[int, int], ReadPosition]:
        self.asked.append(list(pairs))
        if self.is_away:
            raise StorageUnavailable("away")
        return {pair: ReadPosition(self.seqs[pair], 3) for pair in pairs if pair in self.seqs}


class Socket:
    """A socket of either kind; `told` has everything sent, as JSON."""

    client_id = "c"
    person = BOB

    def __init__(self, dialect: Dialect, connection_id: str) -> None:
        self.dialect, self.connection_id = dialect, connection_id
        self.told: list[dict[str, Any]] = []

    def tell(self, reply: Reply) -> None:
        self.told.append(orjson.loads(self.dialect.reply(reply, None) or b"null"))


class World:
    """One node's read positions, with what they stand on."""

    def __init__(self) -> None:
        self.local_clients, self.subscriptions = LocalClients(Registry()), SubscriptionRegistry()
        self.broker, self.store = Broker(), Positions()
        self.positions = ReadPositions("here", self.local_clients, self.subscriptions, self.store, self.broker)  # type: ignore[arg-type]

    def native(self, connection_id: str, *, subscribed: bool = False) -> Socket:
        socket = Socket(NativeDialect(), connection_id)
        self.local_clients.add(socket)  # type: ignore[arg-type]
        if subscribed:
            self._seat(socket, f"watch of {connection_id}")
        return socket

    def in_chat(self, connection_id: str, dialect: Dialect | None = None) -> Socket:
        socket = Socket(dialect or ChatDialect(), connection_id)
        self._seat(socket, connection_id)
        return socket

    def _seat(self, socket: Socket, connection_id: str) -> None:
        seat = Seat(CHAT, BOB.id, BOB.username, connection_id)
        subscription = Subscription(socket, LocalChat(CHAT), seat, Claim.settled(1))  # type: ignore[arg-type]
        subscription.is_live = True
        self.subscriptions.add(subscription)

    def read(self, seq: int, connection_id: str) -> None:
        """A socket of this node has moved the position."""
        self.store.seqs[CHAT, BOB.id] = max(seq, self.store.seqs.get((CHAT, BOB.id), 0))
        self.positions.on_read(CHAT, BOB.id, seq, connection_id)


@asynccontextmanager
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr("gateway.node.read_positions.FLUSH_S", 0.01)
    monkeypatch.setattr("gateway.node.read_positions.RETRY_S", 0.01)
    made = World()
    running = asyncio.create_task(made.positions.run())
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def chat_read(seq: int) -> dict[str, object]:
    return {"type": "chat_read", "chat_id": CHAT, "seq": seq, "unread": 3}


def messages_read(seq: int) -> dict[str, object]:
    return {"type": "messages_read", "user_id": BOB.id, "username": "bob", "seq": seq}


async def test_all_sockets_but_the_reading_one_are_notified_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as w:
        native, watching, chat, reader = w.native("n"), w.native("w", subscribed=True), w.in_chat("c"), w.in_chat("r")
        service = w.in_chat("s", ServiceDialect())
        for seq in range(1, 51):
            w.read(seq, "r")
        await eventually(lambda: bool(chat.told))
        assert native.told == watching.told == [chat_read(50)]
        assert chat.told == [messages_read(50)]
        assert reader.told == service.told == []
        assert len(w.store.asked) == 1
        assert w.broker.announced == [PositionsMoved("here", [(CHAT, BOB.id)])]


async def test_user_with_one_socket_causes_no_query(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as w:
        w.native("n", subscribed=True)
        w.read(1, "n")
        await eventually(lambda: bool(w.broker.announced))
        w.positions.take(PositionsMoved("there", [(CHAT, 99), (6, 99)]))
        assert w.store.asked == [] and not w.positions._due


async def test_only_socket_behind_the_read_position_is_notified(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as w:
        behind, ahead = w.in_chat("a"), w.in_chat("b")
        w.read(7, "b")
        w.read(5, "a")
        await eventually(lambda: bool(behind.told))
        assert (behind.told, ahead.told) == ([messages_read(7)], [])


async def test_read_on_other_node_notifies_all_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as w:
        native, chat = w.native("n"), w.in_chat("c")
        w.read(3, "c")
        w.store.seqs[CHAT, BOB.id] = 9
        w.positions.take(PositionsMoved("there", [(CHAT, BOB.id)]))
        w.positions.take(PositionsMoved("here", [(6, BOB.id)]))
        await eventually(lambda: bool(chat.told))
        assert (native.told, chat.told) == ([chat_read(9)], [messages_read(9)])
        assert w.store.asked == [[(CHAT, BOB.id)]]


async def test_former_member_is_not_notified(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as w:
        native = w.native("n")
        w.positions.take(PositionsMoved("there", [(CHAT, BOB.id)]))
        await eventually(lambda: bool(w.store.asked))
        assert native.told == []


async def test_unreachable_store_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as w:
        native = w.native("n")
        w.store.is_away = True
        w.read(4, "elsewhere")
        await eventually(lambda: len(w.store.asked) > 2)
        w.store.is_away = False
        await eventually(lambda: native.told == [chat_read(4)])
        assert not w.positions._due


async def test_many_positions_are_announced_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch) as w:
        for user_id in range(1, PAIRS_A_MESSAGE + 2):
            w.positions.on_read(CHAT, user_id, 1, "r")
        await eventually(lambda: len(w.broker.announced) == 2)
        assert [len(said.pairs) for said in w.broker.announced if isinstance(said, PositionsMoved)] == [
            PAIRS_A_MESSAGE,
            1,
        ]
