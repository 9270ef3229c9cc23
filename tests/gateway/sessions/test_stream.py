"""The sessions of a client without WebSockets: when a stream ends, and the reply to one command."""

import dataclasses
from typing import Any

import pytest

from gateway.dialects.base import Request
from gateway.protocol.codes import Close, ErrorCode
from gateway.protocol.commands import (
    Command,
    GetPresence,
    Hello,
    Ping,
    Refresh,
    SendMessage,
    Subscribe,
    SubscribePresence,
    Unsubscribe,
)
from gateway.protocol.refusals import UNAVAILABLE
from gateway.protocol.replies import ErrorReply, Greeting, Pong, PresenceState
from gateway.sessions.command_limits import CommandLimits, CommandRates
from gateway.sessions.context import Peer
from gateway.sessions.stream import OneCommand, StreamSession
from storage.auth_records import Credential
from tests.gateway.sessions.stand_ins import (
    ANN,
    GROUP,
    Clients,
    Connection,
    Counts,
    Dialect,
    MemberNode,
    context_of,
)


class World:
    """What a session stands on."""

    def __init__(self) -> None:
        self.node, self.connection, self.dialect, self.counts = MemberNode(), Connection(), Dialect(), Counts()
        self.clients, self.feed = Clients(), Clients()
        self.context = context_of(self.node, self.counts, self.clients, self.feed)
        self.peer = Peer(self.dialect, ANN, Credential(1, 0), "a")

    def stream(self) -> StreamSession:
        connection: Any = self.connection
        session = StreamSession(self.context, self.peer, "c", connection, lambda *_: None)
        session.attach()
        return session

    async def run(self, command: Command, *, is_limited: bool = True) -> tuple[object, Request | None]:
        request = Request(command, "name", GROUP, ref="r")
        reply, of = await OneCommand(self.context, self.peer, is_limited=is_limited).run(request)
        assert of is request
        return reply, of


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("error", "retry_after_ms"),
    [
        (UNAVAILABLE, 1000),
        (ErrorReply(ErrorCode.RATE_LIMITED, "wait", 7), 7000),
        (ErrorReply(ErrorCode.RATE_LIMITED, "wait"), 1000),
    ],
)
def test_stream_ends_if_a_chat_may_be_read_later(world: World, error: ErrorReply, retry_after_ms: int) -> None:
    request = Request(Subscribe(None), "subscribe", GROUP)
    world.stream().refuse(error, request)
    assert world.dialect.replies == [(error, request)]
    assert world.connection.closes == [("close", Close.INTERNAL, f'{{"retry_after_ms":{retry_after_ms}}}')]


@pytest.mark.parametrize(
    ("error", "command"),
    [
        (ErrorReply(ErrorCode.FORBIDDEN, "no"), Subscribe(None)),
        (UNAVAILABLE, GetPresence()),
        (UNAVAILABLE, None),
    ],
)
def test_stream_continues_after_other_errors(world: World, error: ErrorReply, command: Command | None) -> None:
    request = None if command is None else Request(command, "name", GROUP)
    world.stream().refuse(error, request)
    assert (world.dialect.replies, world.connection.closes) == ([(error, request)], [])


async def test_command_has_its_reply(world: World) -> None:
    assert (await world.run(Ping()))[0] == Pong()
    assert (await world.run(Hello("hi")))[0] == Greeting("", 1, "hi", "n1")
    assert (await world.run(GetPresence()))[0] == PresenceState(GROUP, [])
    assert world.node.asked == [("members", GROUP)]
    assert (world.clients.calls, world.feed.calls) == ([], []), "nothing of it is registered"


async def test_message_is_admitted_unless_it_is_not_limited(world: World) -> None:
    message = SendMessage("hi", "c")
    assert (await world.run(message))[0] == UNAVAILABLE, "the reply of this store"
    assert [call[0] for call in world.node.asked] == ["admit", "submit"]
    world.node.asked.clear()
    await world.run(message, is_limited=False)
    assert [call[0] for call in world.node.asked] == ["submit"]


async def test_commands_count_unless_they_are_not_limited(world: World) -> None:
    limits = CommandLimits(CommandRates(presence=1))
    world.context = dataclasses.replace(world.context, limits=limits)
    for _ in range(3):  # a user has three sockets' worth
        await world.run(GetPresence())
    reply, _ = await world.run(GetPresence())
    assert isinstance(reply, ErrorReply) and reply.code is ErrorCode.RATE_LIMITED
    assert (await world.run(GetPresence(), is_limited=False))[0] == PresenceState(GROUP, [])


@pytest.mark.parametrize(
    "command",
    [Subscribe(None), Unsubscribe(), SubscribePresence([2]), Refresh("token")],
    ids=lambda one: type(one).__name__,
)
async def test_command_of_a_socket_is_rejected(world: World, command: Command) -> None:
    reply, _ = await world.run(command)
    text = "This command is for WebSockets: a stream has it in its URL"
    assert reply == ErrorReply(ErrorCode.UNKNOWN_TYPE, text)
    assert world.node.asked == []


async def test_invalid_command_has_a_reply_without_request(world: World) -> None:
    error = ErrorReply(ErrorCode.INVALID_JSON, "invalid")
    assert await OneCommand(world.context, world.peer).run(error) == (error, None)


async def test_only_the_first_reply_of_a_command_is_kept(world: World) -> None:
    session = OneCommand(world.context, world.peer)
    request = Request(Ping(), "ping")
    world.dialect.incoming.append(request)
    assert await session.run(request) == (Pong(), request)
    session.tell(UNAVAILABLE)
