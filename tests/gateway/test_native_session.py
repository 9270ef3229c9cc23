"""What a socket of many chats does where things go wrong or cross each other; the core beneath it is a stand-in."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from gateway.chat_session import ChatSession
from gateway.codes import Close, Disconnect
from gateway.dialects.chat import ChatDialect
from gateway.dialects.native import NativeDialect
from gateway.hub import LocalChat
from gateway.messages import CaughtUp, Established, Since
from gateway.metrics import Metrics
from gateway.native_session import NativeSession
from gateway.presence import Seat
from gateway.subscription import Place, Recipient, Subscription
from gateway.tasks import Tasks
from storage.errors import StorageUnavailable
from storage.records import Admission, ChatKind, ChatPosition, Member, Person, PublicChat, Role
from tests.gateway.redis.waiting import eventually

ANN = Person(1, "ann")
GROUP, OTHER, PUBLIC = 5, 6, 7


class Lane:
    """A socket that takes everything; `told` is everything, as JSON."""

    buffered = 0

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.closed: int | None = None

    def attach(self, listener: object) -> None: ...

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
        self.membership = self
        self.gate = asyncio.Event()
        self.gate.set()
        self.seats = asyncio.Event()
        self.seats.set()
        self.is_away = self.is_broken = False
        self.log: list[tuple[str, object]] = []
        self.live = 0

    async def admit(self, chat_id: int, user_id: int) -> Admission | None:
        if chat_id not in (GROUP, OTHER):
            return None
        member = Member(ANN, Role.MEMBER, 0)
        return Admission(chat_id, ChatKind.GROUP, member, ChatPosition(3, 1), "e1")

    async def public(self, chat_id: int) -> PublicChat | None:
        return PublicChat(chat_id, 3, "e1") if chat_id == PUBLIC else None

    async def take_seat(self, seat: Seat) -> int:
        await self.seats.wait()
        return 1

    def register(self, session: Recipient, seat: Seat, claim: int) -> Subscription:
        subscription = Subscription(session, LocalChat(seat.chat_id), seat, claim)
        self.log.append(("register", subscription))
        return subscription

    def visit(self, session: Recipient, chat_id: int) -> Subscription:
        subscription = Subscription(session, LocalChat(chat_id), None, 0)
        self.log.append(("register", subscription))
        return subscription

    def leave(self, subscription: Subscription, *, at_once: bool) -> None:
        if subscription.end():
            self.log.append(("leave", subscription))

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
    """Remembers evictions."""

    def __init__(self) -> None:
        self.evicted: list[tuple[int, int]] = []

    def follow(self, user_id: int) -> None: ...

    def unfollow(self, user_id: int) -> None: ...

    def on_evicted(self, chat_id: int, user_id: int) -> None:
        self.evicted.append((chat_id, user_id))


class Lobby:
    """Takes everybody."""

    def add(self, socket: object) -> None: ...

    def remove(self, socket: object) -> None: ...


class World:
    """A session of ann's with what it stands on."""

    def __init__(self, person: Person | None) -> None:
        self.node, self.lane, self.feed, self.metrics = Node(), Lane(), Feed(), Metrics()
        self.session = NativeSession(
            node=self.node,  # type: ignore[arg-type]
            lobby=Lobby(),  # type: ignore[arg-type]
            feed=self.feed,  # type: ignore[arg-type]
            lane=self.lane,
            dialect=NativeDialect(),
            person=person,
            client_id="c",
            connection_id="connection",
            expires_at=0,
            metrics=self.metrics.clients,
            on_closed=lambda *_: None,
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


async def test_a_defect_of_ours_is_told_to_who_subscribes_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with world() as w:
        w.node.is_broken = True
        w.send(type="subscribe", chat_id=GROUP, id="s1")
        answers = await w.until("s1")
        await eventually(lambda: "task_failed" in caplog.text)
    assert answers["s1"]["code"] == "unavailable"
    assert w.events("leave") == w.events("register")


async def test_a_defect_of_ours_closes_the_socket_of_one_chat() -> None:
    node, lane = Node(), Lane()
    node.is_broken = True
    seat = Seat(GROUP, ANN.id, ANN.username, "connection", exclusive=True)
    session = ChatSession(
        node=node,  # type: ignore[arg-type]
        lane=lane,
        dialect=ChatDialect(),
        person=ANN,
        expires_at=0,
        metrics=Metrics().clients,
        on_closed=lambda *_: None,
        home=Place(seat, 1, None, "e1"),
    )
    session.attach()
    await eventually(lambda: lane.closed == Close.INTERNAL)
    await node.tasks.close()


async def test_a_subscription_that_ends_before_it_began_is_answered_once() -> None:
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


async def test_an_outage_before_the_ack_is_the_answer_and_after_it_an_error_in_the_chat() -> None:
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


async def test_replays_on_one_socket_follow_one_another() -> None:
    async with world() as w:
        w.node.gate.clear()
        for number, chat_id in enumerate((GROUP, OTHER, PUBLIC)):
            w.send(type="subscribe", chat_id=chat_id, since=0, id=number)
        await w.until(0)
        w.node.gate.set()
        await w.until(0, 1, 2)
        assert max(w.events("live at once")) == 1


async def test_to_subscribe_again_takes_the_new_seat_before_it_leaves_the_old() -> None:
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


async def test_a_socket_that_goes_while_it_subscribes_leaves_nothing_behind() -> None:
    async with world() as w:
        w.node.seats.clear()
        w.send(type="subscribe", chat_id=GROUP, id=1)
        w.send(type="subscribe", chat_id=PUBLIC, id=2)
        w.session.on_closed(1000)
        w.node.seats.set()
        await eventually(lambda: w.events("leave") == w.events("register") and len(w.events("leave")) == 2)
        await eventually(lambda: not len(w.node.tasks))
        assert not w.session.is_subscribed(GROUP) and not w.session.is_subscribed(PUBLIC)


async def test_an_eviction_ends_the_subscription_and_is_left_to_the_feed_to_tell() -> None:
    async with world() as w:
        for chat_id in (GROUP, OTHER):
            w.send(type="subscribe", chat_id=chat_id, id=chat_id)
        await w.until(GROUP, OTHER)
        subscription = w.events("register")[0]
        for _ in range(2):
            subscription.close(Disconnect(Close.FORBIDDEN, "no longer a member of this chat"))
        assert w.events("leave") == [subscription] and w.feed.evicted == [(GROUP, ANN.id)]
        assert (w.session.is_subscribed(GROUP), w.session.is_subscribed(OTHER)) == (False, True)
        assert w.lane.closed is None


async def test_an_eviction_before_the_ack_is_its_answer() -> None:
    async with world() as w:
        w.node.gate.clear()
        w.send(type="subscribe", chat_id=GROUP, id="s")
        await eventually(lambda: bool(w.events("register")))
        w.events("register")[0].close(Disconnect(Close.FORBIDDEN, ""))
        assert w.answers()["s"]["code"] == "forbidden"
        w.node.gate.set()
        await eventually(lambda: w.node.live == 0)
        assert w.answers()["s"]["type"] == "error"


async def test_a_nobodys_commands_are_refused_in_their_turn() -> None:
    async with world(None) as w:
        w.send(type="subscribe", chat_id=PUBLIC, id=1)
        w.send(type="message", chat_id=PUBLIC, text="hi", id=2)
        w.send(type="subscribe", chat_id=GROUP, id=3)
        w.send(type="hello", message="hi", id=4)
        answers = await w.until(1, 2, 3, 4)
        assert [answers[ref]["type"] for ref in (1, 2, 3, 4)] == ["ack", "error", "error", "hello"]
        assert answers[2]["code"] == answers[3]["code"] == "forbidden"


async def test_too_many_refusals_close_the_socket() -> None:
    async with world() as w:
        for number in range(200):
            w.send(type="nonsense", id=number)
        assert w.lane.closed == Close.ABUSE
        assert len(w.answers()) == 200


async def test_the_wait_for_an_answer_is_measured_to_the_answer_and_of_pings_not_at_all() -> None:
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
