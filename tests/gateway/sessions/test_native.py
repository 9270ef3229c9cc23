"""A socket with many chats during failures and races; the core below it is a fake."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast, get_args

import orjson
import pytest

from gateway.delivery.hub import LocalChat
from gateway.delivery.subscription import PendingSubscription, Recipient, Subscription
from gateway.dialects.chat import ChatDialect
from gateway.dialects.native import NativeDialect
from gateway.interfaces.presence import Seat
from gateway.metrics import Metrics
from gateway.node.online.online_users import OnlineUsers
from gateway.protocol.claim import Claim
from gateway.protocol.codes import Close, Disconnect
from gateway.protocol.commands import Command
from gateway.protocol.ids import Since
from gateway.protocol.replies import CaughtUp, Established
from gateway.sessions import native
from gateway.sessions.command_limits import CommandLimits, CommandRates
from gateway.sessions.context import Peer, SessionContext
from gateway.sessions.native import NativeSession
from gateway.sessions.single_chat import ChatSession
from gateway.tasks import Tasks
from storage.auth_records import Credential
from storage.errors import StorageUnavailable
from storage.records import Admission, ChatKind, ChatPosition, Member, Person, PublicChat, Role
from tests.gateway.sessions.stand_ins import LocalClientsStub, NoRegistry
from tests.support.waiting import eventually

ANN = Person(1, "ann")
GROUP, OTHER, PUBLIC = 5, 6, 7


class Lane:
    """A socket that accepts everything; `told` has everything sent, as JSON."""

    buffered = 0

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.closed: int | None = None

    def attach(self, listener: object, bytes_per_cost: int = 0) -> None: ...

    def serve(self, outlet: object) -> None: ...

    def write(self, frames: bytes, limit: int = 0) -> bool:
        while frames:
            head, size = 2, frames[1]
            if size == 126:
                head, size = 4, int.from_bytes(frames[2:4])
            self.told.append(orjson.loads(frames[head : head + size]))
            frames = frames[head + size :]
        return True

    async def drained(self) -> bool:
        return True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self, code: int, reason: str = "") -> None:
        self.closed = code

    def when_closed(self, call: object) -> bool:
        return True


class Node:
    """The core: `gate` holds subscriptions back, `is_away` is a store that does not answer, `log` what happened."""

    def __init__(self) -> None:
        self.tasks = Tasks()
        self.gate = asyncio.Event()
        self.gate.set()
        self.seats = asyncio.Event()
        self.seats.set()
        self.is_away = self.is_broken = False
        self.log: list[tuple[str, object]] = []
        self.live = 0
        self.node_id = "n1"

    async def admit(self, chat_id: int, user_id: int) -> Admission | None:
        if chat_id not in (GROUP, OTHER):
            return None
        member = Member(ANN, Role.MEMBER, 0)
        return Admission(chat_id, ChatKind.GROUP, member, ChatPosition(3, 1), "e1")

    async def public(self, chat_id: int) -> PublicChat | None:
        return PublicChat(chat_id, 3, "e1") if chat_id == PUBLIC else None

    async def enter(self, seat: Seat) -> Claim:
        await self.seats.wait()
        return Claim.settled(1)

    def register(self, session: Recipient, seat: Seat, claim: Claim, **_: object) -> Subscription:
        subscription = Subscription(session, LocalChat(seat.chat_id), seat, claim)
        self.log.append(("register", subscription))
        return subscription

    def visit(self, session: Recipient, chat_id: int) -> Subscription:
        subscription = Subscription(session, LocalChat(chat_id), None, None)
        self.log.append(("register", subscription))
        return subscription

    def leave(self, subscription: Subscription, *, at_once: bool) -> None:
        if subscription.end():
            self.log.append(("leave", subscription))

    def begin(self, *_: object) -> bool:
        return False

    async def go_live(self, subscription: Subscription, since: Since | None, epoch: str) -> None:
        self.live += 1
        self.log.append(("live at once", self.live))
        try:
            if since is None:
                await self.gate.wait()
            if self.is_away:
                raise StorageUnavailable("away")
            if self.is_broken:
                raise RuntimeError("a defect")
            if subscription.has_left():
                return
            subscription.session.tell(Established(subscription.chat_id, "n", 3, epoch))
            if since is not None:
                await self.gate.wait()
                if self.is_away:
                    raise StorageUnavailable("away")
                subscription.session.tell(CaughtUp(subscription.chat_id, 3, epoch))
        finally:
            self.live -= 1


class Feed:
    """Remembers who was admitted and evicted."""

    def __init__(self) -> None:
        self.evicted: list[tuple[int, int]] = []
        self.admitted: list[tuple[int, int]] = []

    def follow(self, user_id: int) -> None: ...

    def unfollow(self, user_id: int) -> None: ...

    def on_admitted(self, chat_id: int, user_id: int) -> None:
        self.admitted.append((chat_id, user_id))

    def on_evicted(self, chat_id: int, user_id: int) -> None:
        self.evicted.append((chat_id, user_id))


def context(node: Any, feed: Any, metrics: Metrics) -> SessionContext:
    local_clients_stub: Any = LocalClientsStub()
    return SessionContext(
        node=node,
        membership=node,
        present_people=node,
        online=OnlineUsers(cast("Any", NoRegistry()), node),
        history=node,
        local_clients=local_clients_stub,
        feed=feed,
        tasks=node.tasks,
        metrics=metrics.clients,
        limits=CommandLimits(CommandRates()),
    )


class World:
    """A session of ann's with what it stands on."""

    def __init__(self, person: Person | None) -> None:
        self.node, self.lane, self.feed, self.metrics = Node(), Lane(), Feed(), Metrics()
        peer = Peer(NativeDialect(), person, Credential(None, 0), connection_id="connection")
        self.session = NativeSession(
            context(self.node, self.feed, self.metrics), peer, "c", self.lane, on_closed=lambda *_: None
        )
        self.session.attach()

    def send(self, **command: object) -> None:
        self.session.on_message(orjson.dumps(command), True)

    def answers(self) -> dict[object, dict[str, Any]]:
        """The answers by their id; no id has two."""
        answered = [frame for frame in self.lane.told if "id" in frame]
        found = {frame["id"]: frame for frame in answered}
        assert len(found) == len(answered), answered
        return found

    async def until(self, *refs: object) -> dict[object, dict[str, Any]]:
        await eventually(lambda: set(refs) <= set(self.answers()))
        return self.answers()

    def waits(self) -> tuple[float | None, float | None]:
        """How many answers had to be waited for, and for how long together."""
        said = self.metrics.registry.get_sample_value
        labels = {"dialect": "native"}
        return said("chat_gateway_answer_seconds_count", labels), said("chat_gateway_answer_seconds_sum", labels)

    def events(self, name: str) -> list[Any]:
        return [what for event, what in self.node.log if event == name]


@asynccontextmanager
async def world(person: Person | None = ANN) -> AsyncIterator[World]:
    made = World(person)
    try:
        yield made
    finally:
        await made.node.tasks.close()


async def test_internal_error_during_subscribe_is_reported_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with world() as w:
        w.node.is_broken = True
        w.send(type="subscribe", chat_id=GROUP, id="s1")
        answers = await w.until("s1")
        await eventually(lambda: "task_failed" in caplog.text)
    assert answers["s1"]["code"] == "unavailable"
    assert w.events("leave") == w.events("register")


async def test_internal_error_closes_chat_socket() -> None:
    node, lane = Node(), Lane()
    node.is_broken = True
    seat = Seat(GROUP, ANN.id, ANN.username, "connection", exclusive=True)
    session = ChatSession(
        context(node, Feed(), Metrics()),
        Peer(ChatDialect(), ANN, Credential(None, 0), connection_id="connection"),
        PendingSubscription(seat, Claim.settled(1), None, "e1"),
        lane,
        on_closed=lambda *_: None,
    )
    session.attach()
    await eventually(lambda: lane.closed == Close.INTERNAL)
    await node.tasks.close()


async def test_subscription_ended_before_start_gets_one_response() -> None:
    async with world() as w:
        w.node.gate.clear()
        w.send(type="subscribe", chat_id=GROUP, id="s1")
        w.send(type="unsubscribe", chat_id=GROUP, id="u")
        w.send(type="subscribe", chat_id=GROUP, id="s2")
        w.send(type="subscribe", chat_id=GROUP, id="s3")
        answers = await w.until("s1", "u", "s2")
        assert [answers[ref]["type"] for ref in ("s1", "u", "s2")] == ["error", "ack", "error"]
        assert answers["s1"]["code"] == answers["s2"]["code"] == "conflict"
        w.node.gate.set()
        answers = await w.until("s3")
        assert answers["s3"] == {
            "type": "ack",
            "id": "s3",
            "chat_id": GROUP,
            "result": {"last_seq": 3, "epoch": "e1"},
        }


async def test_outage_before_ack_is_the_response_and_later_an_error() -> None:
    async with world() as w:
        w.node.gate.clear()
        w.send(type="subscribe", chat_id=GROUP, id="before")
        w.send(type="subscribe", chat_id=OTHER, since=1, id="after")
        await w.until("after")
        w.node.is_away = True
        w.node.gate.set()
        answers = await w.until("before")
        assert (answers["before"]["type"], answers["before"]["code"]) == ("error", "unavailable")
        assert answers["after"]["type"] == "ack"
        await eventually(lambda: len(w.events("leave")) == 2)
        [untold] = [frame for frame in w.lane.told if frame["type"] == "error" and "id" not in frame]
        assert (untold["chat_id"], untold["code"]) == (OTHER, "unavailable")
        w.node.is_away = False
        w.send(type="subscribe", chat_id=GROUP, id="again")
        assert (await w.until("again"))["again"]["type"] == "ack"
        assert w.lane.closed is None


async def test_replays_on_one_socket_run_one_after_another() -> None:
    async with world() as w:
        w.node.gate.clear()
        for number, chat_id in enumerate((GROUP, OTHER, PUBLIC)):
            w.send(type="subscribe", chat_id=chat_id, since=0, id=number)
        await w.until(0)
        w.node.gate.set()
        await w.until(0, 1, 2)
        assert max(w.events("live at once")) == 1


async def test_resubscribe_takes_new_seat_before_leaving_the_old() -> None:
    async with world() as w:
        w.send(type="subscribe", chat_id=GROUP, id=1)
        await w.until(1)
        w.send(type="subscribe", chat_id=GROUP, id=2)
        await w.until(2)
        first, second = w.events("register")
        assert [(event, what) for event, what in w.node.log if event != "live at once"] == [
            ("register", first),
            ("register", second),
            ("leave", first),
        ]
        assert first.seat.connection_id != second.seat.connection_id


async def test_disconnect_during_subscribe_leaves_no_seat() -> None:
    async with world() as w:
        w.node.seats.clear()
        w.send(type="subscribe", chat_id=GROUP, id=1)
        w.send(type="subscribe", chat_id=PUBLIC, id=2)
        w.session.on_closed(1000)
        w.node.seats.set()
        await eventually(lambda: w.events("leave") == w.events("register") and len(w.events("leave")) == 2)
        await eventually(lambda: not len(w.node.tasks))
        assert not w.session.is_subscribed(GROUP) and not w.session.is_subscribed(PUBLIC)


async def test_eviction_ends_subscription_and_feed_notifies() -> None:
    async with world() as w:
        for chat_id in (GROUP, OTHER):
            w.send(type="subscribe", chat_id=chat_id, id=chat_id)
        await w.until(GROUP, OTHER)
        subscription = w.events("register")[0]
        for _ in range(2):
            subscription.close(Disconnect(Close.FORBIDDEN, "no longer a member of this chat"))
        assert w.events("leave") == [subscription] and w.feed.evicted == [(GROUP, ANN.id)]
        assert w.feed.admitted == [(GROUP, ANN.id), (OTHER, ANN.id)]
        assert (w.session.is_subscribed(GROUP), w.session.is_subscribed(OTHER)) == (False, True)
        assert w.lane.closed is None


async def test_eviction_before_ack_is_its_response() -> None:
    async with world() as w:
        w.node.gate.clear()
        w.send(type="subscribe", chat_id=GROUP, id="s")
        await eventually(lambda: bool(w.events("register")))
        w.events("register")[0].close(Disconnect(Close.FORBIDDEN, ""))
        assert w.answers()["s"]["code"] == "forbidden"
        w.node.gate.set()
        await eventually(lambda: w.node.live == 0)
        assert w.answers()["s"]["type"] == "error"


async def test_anonymous_commands_are_rejected_in_order() -> None:
    async with world(None) as w:
        w.send(type="subscribe", chat_id=PUBLIC, id=1)
        w.send(type="message", chat_id=PUBLIC, text="hi", id=2)
        w.send(type="subscribe", chat_id=GROUP, id=3)
        w.send(type="hello", message="hi", id=4)
        answers = await w.until(1, 2, 3, 4)
        assert [answers[ref]["type"] for ref in (1, 2, 3, 4)] == ["ack", "error", "error", "hello"]
        assert answers[2]["code"] == answers[3]["code"] == "forbidden"


async def test_too_many_rejected_commands_close_the_socket() -> None:
    async with world() as w:
        for number in range(200):
            w.send(type="nonsense", id=number)
        assert w.lane.closed == Close.ABUSE
        assert len(w.answers()) == 200


async def test_response_time_is_measured_except_for_pings() -> None:
    async with world() as w:
        w.node.gate.clear()
        w.send(type="subscribe", chat_id=GROUP, id="s1")
        began = time.perf_counter()
        w.send(type="ping", id="p")
        await w.until("p")
        assert w.waits() == (None, None)
        waited = time.perf_counter() - began
        w.node.gate.set()
        await w.until("s1")
        answers, seconds = w.waits()
        assert answers == 1
        assert seconds is not None
        assert seconds >= waited


def test_every_command_has_a_rule_of_who_may_use_it() -> None:
    assert set(native._RULES) == set(get_args(Command))
