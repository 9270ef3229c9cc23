"""The commands of a socket of many chats: who may use them, and what they ask the node for."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.delivery.subscription import Subscription
from gateway.dialects.base import Request
from gateway.protocol.claim import Claim
from gateway.protocol.codes import Close, Disconnect, ErrorCode
from gateway.protocol.commands import (
    DeleteMessage,
    EditMessage,
    GetHistory,
    GetPresence,
    Hello,
    MarkRead,
    Ping,
    SendMessage,
    SetTyping,
    Subscribe,
    SubscribePresence,
    Unsubscribe,
)
from gateway.protocol.ids import Since
from gateway.protocol.refusals import UNAVAILABLE, commands_limited
from gateway.protocol.replies import (
    ChatAdded,
    Done,
    ErrorReply,
    Established,
    Greeting,
    HistoryPage,
    Pong,
    PresenceState,
    UserPresence,
    UsersPresence,
)
from gateway.sessions.command_limits import CommandLimits, CommandRates
from gateway.sessions.context import Peer
from gateway.sessions.native import MAX_SUBSCRIPTIONS, NativeSession, _Rule
from gateway.sessions.native_subscription import NativeSubscription
from storage.auth_records import Credential
from storage.errors import StorageUnavailable
from storage.records import Person
from tests.gateway.sessions.stand_ins import (
    ANN,
    GROUP,
    PUBLIC,
    UNKNOWN,
    Clients,
    Connection,
    Counts,
    Dialect,
    MemberNode,
    context_of,
)


class World:
    """A session of a person with its surroundings."""

    def __init__(self, person: Person | None = ANN, limits: CommandLimits | None = None) -> None:
        self.node, self.connection, self.dialect, self.counts = MemberNode(), Connection(), Dialect(), Counts()
        self.clients, self.feed = Clients(), Clients()
        connection: Any = self.connection
        context = context_of(self.node, self.counts, self.clients, self.feed)
        self.session = NativeSession(
            context if limits is None else dataclasses.replace(context, limits=limits),
            Peer(self.dialect, person, Credential(None, 0), "a"),
            "c",
            connection,
            lambda session, code: None,
        )
        self.session.attach()

    async def receive(self, command: Any, chat_id: int | None = GROUP) -> Request:
        request = Request(command, "name", chat_id, ref="r")
        self.dialect.incoming.append(request)
        self.session.on_message(b"", True)
        async with asyncio.timeout(5):
            while len(self.node.tasks):
                await asyncio.sleep(0)
        return request

    @property
    def codes(self) -> list[ErrorCode]:
        return [reply.code for reply, _ in self.dialect.replies if isinstance(reply, ErrorReply)]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.node.tasks.close()


def test_session_is_registered_and_its_user_followed() -> None:
    world = World()
    assert (world.clients.calls, world.feed.calls) == ([("add", world.session)], [("follow", 1)])
    world.session.on_closed(1000)
    assert world.clients.calls[1:] == [("remove", world.session)]
    assert world.feed.calls[1:] == [("unfollow", 1)]


def test_anonymous_session_follows_no_user_feed() -> None:
    world = World(None)
    world.session.on_closed(1000)
    assert (world.clients.calls, world.feed.calls) == ([("add", world.session), ("remove", world.session)], [])


async def test_ping_and_hello_are_answered(world: World) -> None:
    ping, hello = await world.receive(Ping(), None), await world.receive(Hello("hi"), None)
    assert world.dialect.replies == [(Pong(), ping), (Greeting("c", 1, "hi", "n1"), hello)]
    assert [name for name, *_ in world.counts.calls] == ["handled", "handled"]


async def test_notice_is_written(world: World) -> None:
    world.session.tell(ChatAdded(5))
    assert world.dialect.replies == [(ChatAdded(5), None)]


@pytest.mark.parametrize(
    "command",
    [
        SendMessage("hi", "c"),
        EditMessage(1, "x", "c"),
        SetTyping(True),
        MarkRead(1),
        GetHistory(None, 0, 9),
        GetPresence(),
    ],
)
async def test_anonymous_session_may_not_use_commands(command: object) -> None:
    world = World(None)
    await world.receive(command)
    assert (world.codes, world.node.asked) == ([ErrorCode.FORBIDDEN], [])
    hello = await world.receive(Hello("hi"), None)
    assert world.dialect.replies[-1] == (Greeting("c", None, "hi", "n1"), hello)


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        (SetTyping(True), ("typing", GROUP, True)),
        (MarkRead(5), ("read", GROUP, 5, "a")),
        (MarkRead(99), ("read", GROUP, 9, "a")),
        (GetHistory(None, 2, 20), ("after", GROUP, 2, 20, 9, "e1")),
        (GetPresence(), ("members", GROUP)),
        (SendMessage("hi", "c1"), ("admit", "hi")),
        (EditMessage(11, "new", "c1"), ("admit", "new")),
        (DeleteMessage(11, "c1"), ("admit", "")),
    ],
)
async def test_command_of_a_member_reaches_the_node(world: World, command: object, asked: tuple[object, ...]) -> None:
    request = await world.receive(command)
    assert world.node.asked[0] == asked
    assert [answered for _, answered in world.dialect.replies] == [request]
    world.session.on_closed(1000)


@pytest.mark.parametrize("command", [SetTyping(True), MarkRead(1), GetHistory(None, 0, 9), GetPresence()])
async def test_command_for_an_unknown_chat_is_rejected(world: World, command: object) -> None:
    await world.receive(command, UNKNOWN)
    assert (world.codes, world.node.asked) == ([ErrorCode.FORBIDDEN], [])


async def test_visitor_of_a_public_chat_only_reads(world: World) -> None:
    history, presence = await world.receive(GetHistory(None, 2, 20), PUBLIC), await world.receive(GetPresence(), PUBLIC)
    assert world.dialect.replies == [(HistoryPage(PUBLIC, [], 8), history), (PresenceState(PUBLIC, []), presence)]
    for command in (SetTyping(True), MarkRead(1)):
        await world.receive(command, PUBLIC)
    assert world.codes == [ErrorCode.FORBIDDEN] * 2


async def test_mark_read_without_seq_needs_a_subscription(world: World) -> None:
    await world.receive(MarkRead(None))
    assert (world.codes, world.node.asked) == ([ErrorCode.INVALID_FIELD], [])
    await world.receive(Subscribe(None))
    await world.receive(MarkRead(None))
    assert world.node.asked[-1] == ("read", GROUP, 0, "a")


async def test_member_subscribes_with_a_seat(world: World) -> None:
    request = await world.receive(Subscribe(Since(2)))
    assert [name for name, *_ in world.node.asked] == ["seat", "register", "go live"]
    assert world.node.asked[0] == ("seat", GROUP, 1)
    _, subscription, since, epoch = world.node.asked[2]
    assert isinstance(subscription, Subscription)
    assert (since, epoch, subscription.claim) == (Since(2), "e1", Claim.settled(3))
    assert world.session.is_subscribed(GROUP)
    subscription.session.tell(Established(GROUP, "n", 9, "e1"))
    assert world.dialect.replies == [(Established(GROUP, "n", 9, "e1"), request)]


@pytest.mark.parametrize("person", [ANN, None])
async def test_visitor_subscribes_without_a_seat(person: Person | None) -> None:
    world = World(person)
    await world.receive(Subscribe(None), PUBLIC)
    assert [name for name, *_ in world.node.asked] == ["register", "go live"]
    assert world.session.is_subscribed(PUBLIC)


async def test_unknown_chat_is_not_subscribed(world: World) -> None:
    await world.receive(Subscribe(None), UNKNOWN)
    assert (world.codes, world.node.asked, world.session.is_subscribed(UNKNOWN)) == ([ErrorCode.FORBIDDEN], [], False)


async def test_subscriptions_of_a_socket_are_bounded(world: World) -> None:
    for chat_id in range(100, 100 + MAX_SUBSCRIPTIONS):
        await world.receive(Subscribe(None), chat_id)
    assert world.codes == []
    rejected = await world.receive(Subscribe(None), GROUP)
    assert world.codes == [ErrorCode.TOO_MANY_SUBSCRIPTIONS]
    assert world.dialect.replies[-1][1] is rejected
    await world.receive(Subscribe(None), 100)
    assert len(world.codes) == 2, "the one that was replaced before it was established"
    await world.receive(Unsubscribe(), 101)
    await world.receive(Subscribe(None), GROUP)
    assert world.session.is_subscribed(GROUP)


async def test_subscribed_chat_is_not_looked_up_again(world: World) -> None:
    await world.receive(Subscribe(None))
    await world.receive(GetHistory(None, 2, 20))
    await world.receive(SetTyping(True))
    assert world.node.looked_up == [GROUP]
    assert ("after", GROUP, 2, 20, 9, "e of the node") in world.node.asked
    world.session.on_closed(1000)


async def test_session_that_ends_while_it_subscribes_leaves_at_once(world: World) -> None:
    world.session.on_closed(1006)
    await world.receive(Subscribe(None))
    (_, registered), (_, left, at_once) = (call[:2] if call[0] == "register" else call for call in world.node.asked[1:])
    assert (registered.chat_id, left.chat_id, at_once) == (GROUP, GROUP, True)
    assert not world.session.is_subscribed(GROUP)


async def test_subscription_that_failed_gets_one_reply(world: World) -> None:
    world.node.error = StorageUnavailable("away")
    request = await world.receive(Subscribe(None))
    assert world.dialect.replies == [(UNAVAILABLE, request)]
    native = NativeSubscription(world.session, request, lambda _: None)
    native.fail(UNAVAILABLE)
    native.supersede()
    native.close(Disconnect(Close.DRAIN))
    assert world.dialect.replies[1:] == [(UNAVAILABLE, request)]
    native.fail(UNAVAILABLE)
    native.tell(Pong())
    assert world.dialect.replies[2:] == [(UNAVAILABLE, replace(request, ref=None)), (Pong(), None)]


async def test_presence_of_users_is_watched_as_far_as_visible(world: World) -> None:
    request = await world.receive(SubscribePresence([2, 3]), None)
    users, visible = [UserPresence(2, True, None), UserPresence(3, False, None)], [UserPresence(2, True, None)]
    assert world.node.asked == [("look", 2, 3, 1), ("watch", world.session, visible)]
    assert world.dialect.replies == [(UsersPresence(users), request)]
    assert [name for name, *_ in world.counts.calls] == ["handled", "answered"]
    world.node.during_look = partial(world.session.on_closed, 1000)
    await world.receive(SubscribePresence([2]), None)
    assert world.node.asked[2:] == [("look", 2, 1)], "a closed session watches nobody"


async def test_command_over_its_limit_is_rejected() -> None:
    world = World(limits=CommandLimits(CommandRates(pings=1)))
    first, second = await world.receive(Ping(), None), await world.receive(Ping(), None)
    assert world.dialect.replies == [(Pong(), first), (commands_limited(60), second)]


async def test_limit_of_commands_is_that_of_the_user_or_the_address() -> None:
    limits = CommandLimits(CommandRates(pings=1))
    worlds = [World(person, limits) for person in (ANN, ANN, ANN, ANN, Person(2, "bob"), None)]
    for world in worlds:
        await world.receive(Ping(), None)
    assert [len(world.codes) for world in worlds] == [0, 0, 0, 1, 0, 0]


def test_rule_says_whether_a_command_waits() -> None:
    rules = [
        _Rule(NativeSession._hello, "hello"),
        _Rule(NativeSession._refresh, "refresh"),
        _Rule(NativeSession._set_typing, "typing", in_chat=True),
        _Rule(NativeSession._store, "message", stores=True),
    ]
    assert [rule.handler.__name__ for rule in rules] == ["_hello", "_refresh", "_set_typing", "_store"]
    assert [rule.awaits for rule in rules] == [False, True, True, False]
    assert [rule.stores for rule in rules] == [False, False, False, True]
    assert [rule.in_chat for rule in rules] == [False, False, True, False]
    assert [rule.needs_user for rule in rules] == [False, True, True, True]
    assert [rule.members_only for rule in rules] == [False, False, True, True]


async def test_unsubscribe_leaves_at_once(world: World) -> None:
    await world.receive(Subscribe(None))
    _, subscription, *_ = world.node.asked[-1]
    request = await world.receive(Unsubscribe())
    assert world.node.asked[-1] == ("leave", subscription, True)
    assert world.dialect.replies[-1] == (Done(), request)
    assert not world.session.is_subscribed(GROUP)
    count = len(world.node.asked)
    await world.receive(Unsubscribe())
    assert len(world.node.asked) == count


@pytest.mark.parametrize(("code", "at_once"), [(1000, True), (1006, False)])
async def test_closed_session_leaves_its_chats(world: World, code: int, at_once: bool) -> None:
    await world.receive(Subscribe(None))
    _, subscription, *_ = world.node.asked[-1]
    await world.receive(SetTyping(True))
    await world.receive(SetTyping(False))
    world.session.on_closed(code)
    assert world.node.asked[-1] == ("leave", subscription, at_once)
    assert not world.session.is_subscribed(GROUP)
