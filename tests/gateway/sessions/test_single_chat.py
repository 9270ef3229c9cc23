"""A socket of one chat: what its commands ask for, in which order, and what its end releases."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.delivery.subscription import PendingSubscription, Subscription
from gateway.dialects.base import Request
from gateway.errors import RedisUnavailable
from gateway.interfaces.presence import Seat
from gateway.protocol.claim import Claim
from gateway.protocol.codes import Close, Disconnect, ErrorCode
from gateway.protocol.commands import (
    DeleteMessage,
    EditMessage,
    GetHistory,
    GetPresence,
    MarkRead,
    Ping,
    Refresh,
    SendMessage,
    SetTyping,
)
from gateway.protocol.ids import Since
from gateway.protocol.refusals import NOT_REFRESHED
from gateway.protocol.replies import Done, ErrorReply, Established, HistoryPage, Pong, PresenceState
from gateway.sessions.context import Peer
from gateway.sessions.session import MAX_REFUSALS, MAX_WAITING
from gateway.sessions.single_chat import ChatSession
from storage.auth_records import Credential
from storage.errors import StorageUnavailable
from storage.records import Person
from tests.gateway.sessions.stand_ins import Connection, Counts, Dialect, Node, context_of

ANN = Person(1, "ann")
CHAT = 7
INVALID = ErrorReply(ErrorCode.INVALID_JSON, "invalid")


class World:
    """A session with its surroundings."""

    def __init__(self, person: Person = ANN, *, is_reader: bool = False) -> None:
        self.node, self.connection, self.dialect, self.counts = Node(), Connection(), Dialect(), Counts()
        self.ended: list[tuple[object, int]] = []
        connection: Any = self.connection
        self.session = ChatSession(
            context_of(self.node, self.counts),
            Peer(self.dialect, person, Credential(1, 5.0), "a"),
            PendingSubscription(Seat(CHAT, person.id, "ann", "a"), Claim.settled(3), Since(4), "e1", is_reader),
            connection,
            lambda session, code: self.ended.append((session, code)),
        )
        self.node.asked.clear()

    def receive(self, command: Any, name: str = "name") -> Request:
        request = Request(command, name)
        self.dialect.incoming.append(request)
        self.session.on_message(b"", True)
        return request

    async def settled(self) -> None:
        async with asyncio.timeout(5):
            while len(self.node.tasks):
                await asyncio.sleep(0)

    @property
    def asked(self) -> list[tuple[object, ...]]:
        return self.node.asked


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    world.node.gate.set()
    await world.node.tasks.close()


async def test_send_queue_is_served_by_the_socket(world: World) -> None:
    assert world.connection.served is world.session.outlet


async def test_session_identifies_itself_in_the_log(world: World) -> None:
    assert world.session.log_fields == {"user_id": 1, "connection_id": "a", "chat_id": CHAT}
    assert (world.session.connection_id, world.session.credential.expires_at, world.session.person) == ("a", 5.0, ANN)


async def test_session_reads_commands_once_it_is_established(world: World) -> None:
    world.session.attach()
    assert world.connection.calls == ["pause", ("attach", world.session)]
    await world.settled()
    ((name, subscription, since, epoch),) = world.asked
    assert (name, since, epoch) == ("go live", Since(4), "e1")
    assert world.node.begun == [(subscription, Since(4), "e1")]
    assert isinstance(subscription, Subscription)
    world.session.tell(Pong())
    await asyncio.sleep(0)
    assert "resume" not in world.connection.calls
    world.session.tell(Established(CHAT, "n", 9, "e1"))
    assert "resume" not in world.connection.calls
    await asyncio.sleep(0)
    assert world.connection.calls[-1] == "resume"
    assert [reply for _, reply in world.dialect.replies] == [None, None]


@pytest.mark.parametrize(("person", "is_user"), [(ANN, True), (Person(-5, "guest"), False)])
async def test_user_is_online_while_the_socket_is_open(person: Person, is_user: bool) -> None:
    world = World(person)
    assert world.node.online == []
    world.session.attach()
    assert world.node.online == [("arrive", 1)] * is_user
    await world.settled()
    world.session.on_closed(1000)
    assert world.node.online[1:] == [("depart", 1)] * is_user


async def test_typing_of_a_reader_is_rejected() -> None:
    world = World(is_reader=True)
    request = world.receive(SetTyping(True))
    ((reply, answered),) = world.dialect.replies
    assert isinstance(reply, ErrorReply)
    assert (reply.code, answered, world.asked) == (ErrorCode.FORBIDDEN, request, [])


@pytest.mark.parametrize(
    ("error", "code"), [(StorageUnavailable("x"), Close.POSITION_LOST), (KeyError("x"), Close.INTERNAL)]
)
async def test_session_that_cannot_go_live_is_closed(world: World, error: Exception, code: Close) -> None:
    world.node.error = error
    world.session.attach()
    await world.settled()
    ((_, closed, reason),) = world.connection.closes
    assert closed == code
    assert reason.endswith("come back with since")


async def test_close_before_the_handshake_happens_after_it(world: World) -> None:
    world.session.close(Disconnect(Close.REPLACED, "why"))
    world.session.close(Disconnect(Close.BANNED))
    assert world.connection.calls == []
    world.session.attach()
    assert world.connection.calls == ["pause", ("attach", world.session), ("close", Close.REPLACED, "why")]
    world.session.close(Disconnect(Close.BANNED))
    assert len(world.connection.calls) == 3


async def test_abandoned_handshake_leaves_at_once(world: World) -> None:
    world.session.abandon()
    ((name, _, at_once),) = world.asked
    assert (name, at_once) == ("leave", True)


@pytest.mark.parametrize(
    ("code", "at_once"), [(1000, True), (1001, True), (1006, False), (Close.DRAIN, False), (Close.ABUSE, True)]
)
async def test_closed_session_leaves(world: World, code: int, at_once: bool) -> None:
    world.session.on_closed(code)
    ((name, subscription, left_at_once),) = world.asked
    assert (name, type(subscription), left_at_once) == ("leave", Subscription, at_once)
    assert world.ended == [(world.session, code)]


async def test_ping_is_answered_in_the_same_turn(world: World) -> None:
    request = world.receive(Ping(), "ping")
    await world.settled()
    assert world.dialect.replies == [(Pong(), request)]
    assert world.counts.calls == [("handled", "stub", "ping", None)]
    assert world.connection.calls == [b"\x81\x02{}"]


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        (SetTyping(True), ("typing", CHAT, True)),
        (MarkRead(5), ("read", CHAT, 5, "a")),
        (MarkRead(99), ("read", CHAT, 9, "a")),
        (MarkRead(None), ("read", CHAT, 0, "a")),
        (GetHistory(None, 2, 20), ("after", CHAT, 2, 20, 9, "e of the node")),
        (GetPresence(), ("members", CHAT)),
        (SendMessage("hi", "c1"), ("admit", "hi")),
    ],
)
async def test_command_reaches_the_node(world: World, command: object, asked: tuple[object, ...]) -> None:
    world.receive(command)
    await world.settled()
    assert world.asked[0] == asked
    world.session.on_closed(1000)


@pytest.mark.parametrize(("command", "text"), [(EditMessage(11, "new", "c1"), "new"), (DeleteMessage(11, "c1"), "")])
async def test_change_is_submitted_by_the_subscription(world: World, command: object, text: str) -> None:
    request = world.receive(command)
    await world.settled()
    _, (name, _, submitted, by) = world.asked
    assert (name, submitted, type(by)) == ("submit", text, Subscription)
    assert [answered for _, answered in world.dialect.replies] == [request]


async def test_message_is_submitted_by_the_subscription(world: World) -> None:
    world.receive(SendMessage("hi", "c1"))
    await world.settled()
    _, (name, _, text, by) = world.asked
    assert (name, text, type(by)) == ("submit", "hi", Subscription)
    assert world.node.senders == [ANN]


async def test_messages_without_limit_are_submitted_in_one_turn(world: World) -> None:
    """So that a burst is one commit, one publish on each node and one write for each socket."""
    world.node.is_limited = False
    for number in range(50):
        world.receive(SendMessage(str(number), f"c{number}"))
    assert [text for name, _, text, _ in world.asked if name == "submit"] == [str(number) for number in range(50)]


async def test_messages_without_limit_wait_for_earlier_commands(world: World) -> None:
    world.node.is_limited = False
    world.node.gate.clear()
    world.receive(MarkRead(5))
    for text in ("a", "b", "c"):
        world.receive(SendMessage(text, text))
    await asyncio.sleep(0)
    assert len(world.asked) == 1
    world.node.gate.set()
    await world.settled()
    assert [fields[2] for fields in world.asked[1:]] == ["a", "b", "c"]
    world.receive(SendMessage("d", "d"))  # none is under way
    assert world.asked[-1][2] == "d"


async def test_replies_of_remote_commands_are_timed(world: World) -> None:
    requests = [world.receive(command) for command in (MarkRead(5), GetHistory(None, 2, 20), GetPresence())]
    await world.settled()
    replies = [Done(), HistoryPage(CHAT, [], 9), PresenceState(CHAT, [])]
    assert world.dialect.replies == list(zip(replies, requests, strict=True))
    assert [name for name, *_ in world.counts.calls] == ["handled", "answered"] * 3


async def test_time_to_store_an_event_is_counted(world: World) -> None:
    world.session.done(Request(Ping(), "name"), 0.5)
    assert world.counts.calls == [("handled", world.dialect.name, "name", 0.5)]


async def test_next_token_is_read(world: World) -> None:
    request = world.receive(Refresh("token"))
    await world.settled()
    assert world.dialect.replies == [(NOT_REFRESHED, request)], "of a node that accepts no token"


async def test_commands_keep_their_order(world: World) -> None:
    world.node.gate.clear()
    world.receive(GetPresence())
    await asyncio.sleep(0)
    world.receive(Ping())
    assert world.dialect.replies == []
    world.node.gate.set()
    await world.settled()
    assert [reply for reply, _ in world.dialect.replies] == [PresenceState(CHAT, []), Pong()]


async def test_reading_pauses_while_many_commands_wait(world: World) -> None:
    world.node.gate.clear()
    for _ in range(MAX_WAITING):
        assert world.connection.calls == []
        world.receive(GetPresence())
    assert world.connection.calls == ["pause"]
    world.node.gate.set()
    await world.settled()
    calls = [call for call in world.connection.calls if isinstance(call, str)]
    assert calls == ["pause", "resume"]
    written = world.connection.calls.index("resume") - 1
    assert MAX_WAITING // 2 - 2 <= written <= MAX_WAITING // 2
    assert len(world.dialect.replies) == MAX_WAITING


@pytest.mark.parametrize("error", [StorageUnavailable("x"), RedisUnavailable("x"), KeyError("x")])
async def test_command_that_fails_is_rejected(world: World, error: Exception) -> None:
    world.node.error = error
    request = world.receive(GetPresence(), "presence")
    await world.settled()
    ((reply, answered),) = world.dialect.replies
    assert isinstance(reply, ErrorReply)
    assert (reply.code, answered) == (ErrorCode.UNAVAILABLE, request)
    assert world.counts.calls == [("refused", "stub", "presence", ErrorCode.UNAVAILABLE)]
    world.node.error = None
    world.receive(Ping())
    assert world.dialect.replies[-1][0] == Pong()


async def test_invalid_command_is_rejected(world: World) -> None:
    world.dialect.incoming.append(INVALID)
    world.session.on_message(b"", True)
    assert world.dialect.replies == [(INVALID, None)]
    assert world.counts.calls == [("refused", "stub", "unknown", ErrorCode.INVALID_JSON)]


async def test_too_many_rejections_close_the_socket(world: World) -> None:
    world.session.attach()
    for _ in range(MAX_REFUSALS):
        assert world.connection.closes == []
        world.session.refuse(INVALID, None)
    assert world.connection.closes == [("close", Close.ABUSE, "too many refused commands")]


async def test_rejections_spread_over_time_do_not_close(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("gateway.sessions.session.time.monotonic", lambda: now)
    world.session.attach()
    for _ in range(2 * MAX_REFUSALS):
        now += 0.31
        world.session.refuse(INVALID, None)
    assert [call for call in world.connection.calls if isinstance(call, tuple)] == [("attach", world.session)]


async def test_slow_consumer_is_closed_once(world: World) -> None:
    world.session.attach()
    world.connection.has_room, world.connection.buffered = False, 10
    assert not world.session.outlet.offer(b"frame")
    assert not world.session.outlet.offer(b"frame")
    assert world.counts.slow == 1
    assert world.connection.calls[-1] == ("close", Close.SLOW_CONSUMER, "too slow; come back with since")
    assert not await world.session.wait_writable()


async def test_writable_session_says_so(world: World) -> None:
    assert world.session.outlet.offer(b"frame")
    assert await world.session.wait_writable()
    world.connection.is_open = False
    assert not await world.session.wait_writable()
    world.connection.buffered = 12
    assert world.session.buffered == 12


async def test_closed_session_stops_typing(world: World) -> None:
    world.receive(SetTyping(True))
    world.receive(SetTyping(False))
    world.session.on_closed(1000)
    assert [name for name, *_ in world.asked] == ["typing", "leave"]
    assert not any(
        isinstance(handle, asyncio.TimerHandle) and not handle.cancelled()
        for handle in getattr(asyncio.get_running_loop(), "_scheduled", ())
    )


async def test_closed_session_leaves_nothing_to_garbage_collector(world: World) -> None:
    world.session.attach()
    await world.settled()
    world.receive(MarkRead(3))
    world.session.on_closed(1000)
    assert hasattr(world.session, "_actions")  # the accepted command is executed
    await world.settled()
    assert [fields for fields in world.asked if fields[0] == "read"] == [("read", CHAT, 3, "a")]
    for fields in world.asked:
        if isinstance(fields[1], Subscription):
            fields[1].release()  # as the node does
    gone = weakref.ref(world.session)
    gc.disable()
    try:
        world.asked.clear()
        world.ended.clear()
        world.connection.calls.clear()
        del world.session
        assert gone() is None
    finally:
        gc.enable()
