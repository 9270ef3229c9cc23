"""The document has every push and reply of every dialect, and no others."""

from datetime import UTC, datetime
from typing import get_args

import orjson
import pytest
from msgspec.structs import replace

from gateway.asyncapi.document import FAMILIES
from gateway.dialects.base import Dialect, Request
from gateway.dialects.chat import ChatDialect
from gateway.dialects.native import NativeDialect
from gateway.dialects.public import PublicDialect
from gateway.dialects.room import RoomDialect
from gateway.dialects.service import ServiceDialect
from gateway.dialects.sse import SseDialect
from gateway.endpoints.event_stream import farewell
from gateway.protocol.codes import Close, ErrorCode
from gateway.protocol.commands import Ping, SendMessage, Subscribe, SubscribePresence
from gateway.protocol.pushes import (
    ChatChanged,
    MemberChanged,
    MessagesRead,
    PresenceChange,
    PresenceCount,
    Push,
    Typing,
)
from gateway.protocol.replies import (
    CaughtUp,
    ChatActivity,
    ChatAdded,
    ChatRead,
    ChatRemoved,
    Direct,
    Done,
    ErrorReply,
    Established,
    Greeting,
    HistoryPage,
    Pong,
    PresenceState,
    Present,
    Refreshed,
    Reply,
    Reset,
    Stored,
    TokenExpiring,
    Truncated,
    Unreacted,
    UserPresence,
    UsersPresence,
)
from storage.chat_records import ChatDetails
from storage.reaction_records import Reaction
from storage.records import ChatEvent, EventKind, Person, RepliedTo
from tests.support.documented import is_documented, messages_of, validator

DIALECTS: dict[str, tuple[Dialect, ...]] = {
    "chat": (ChatDialect(),),
    "public": (PublicDialect(),),
    "native": (NativeDialect(),),
    "service": (ServiceDialect(), ServiceDialect(resumes=True)),
    "support": (ServiceDialect(), ServiceDialect(resumes=True)),
    "room": (RoomDialect("room1"), RoomDialect("room1", resumes=True)),
}
"""All that may speak in a channel."""

ANN = Person(1, "ann")
EVENT = ChatEvent(5, 7, EventKind.MESSAGE, 123, ANN, "Hi", datetime(2024, 1, 15, tzinfo=UTC), False, False, "c1")
REACTION = Reaction(2, "👍", removed=False, counts='{"👍":1}')
REACTED = replace(EVENT, seq=8, kind=EventKind.REACTION, reactions='{"👍":2}', reaction=REACTION)
CHANGED = ChatChanged(5, ChatDetails(5, "Lunch", "order-7", '{"a":[1]}', 30, 2))
PUSHES: tuple[Push, ...] = (
    EVENT,
    replace(EVENT, data='{"data":{"n":[1.5,null]}}'),
    replace(EVENT, kind=EventKind.EDIT, reactions='{"👍":2}'),
    REACTED,
    replace(EVENT, reply_to=RepliedTo(122, ANN, "Hello"), mentions=(1, 2)),
    replace(EVENT, reply_to=RepliedTo(122, None, "")),
    Typing(5, ANN, is_typing=True),
    MessagesRead(5, ANN, 7),
    PresenceChange(5, 1, "ann", "leave", 2),
    PresenceCount(5, 51),
    CHANGED,
    MemberChanged(5, 1, "reader", 0),
    MemberChanged(5, 1, "member", 1_700_000_000),
)
ERRORS = tuple(ErrorReply(code, "No", retry_after_s) for code in ErrorCode for retry_after_s in (None, 1.5))
ANSWERS: tuple[Reply, ...] = (
    Established(5, "node-1", 7, "e1"),
    Stored(EVENT, duplicate=False, epoch="e1"),
    Stored(EVENT, duplicate=True, epoch="e1"),
    Stored(REACTED, duplicate=False, epoch="e1"),
    Stored(REACTED, duplicate=True, epoch="e1"),
    Unreacted(123, REACTION),
    Done(),
    HistoryPage(5, [EVENT, REACTED, replace(EVENT, reply_count=3)], 7, {123: ["👍"]}),
    PresenceState(5, [Present(1, "ann", 1_700_000_000)]),
    *ERRORS,
)
ALONE: tuple[Reply, ...] = (Pong(), Refreshed(1_700_000_000))
UNASKED: tuple[Reply, ...] = (
    CaughtUp(5, 7, "e1"),
    Reset(5, 7, "e1"),
    Truncated(5, 4),
    MessagesRead(5, ANN, 7),
    TokenExpiring(30),
    *ERRORS,
)
NATIVE_ANSWERS: tuple[Reply, ...] = (
    UsersPresence([UserPresence(1, True, None), UserPresence(2, False, datetime(2024, 1, 15, tzinfo=UTC))]),
    Greeting("a client", None, "Hi", "n1"),
    Greeting("a client", 1, "Hi", "n1"),
)
NATIVE_NOTICES: tuple[Reply, ...] = (
    ChatAdded(5),
    ChatRemoved(5),
    ChatActivity(5, 7),
    ChatRead(5, 7, 100),
    CHANGED,
    UserPresence(1, False, datetime(2024, 1, 15, tzinfo=UTC)),
    Direct(b'{"any":["JSON",null]}'),
)
REFS = (None, 0, "q")


def test_test_cases_cover_every_push_and_reply() -> None:
    replies = (*ANSWERS, *ALONE, *UNASKED, *NATIVE_ANSWERS, *NATIVE_NOTICES)
    assert {type(push) for push in PUSHES} == set(get_args(Push))
    assert {type(reply) for reply in replies} == set(get_args(Reply))
    assert set(DIALECTS) == {family.name for family in FAMILIES} - {"echo", "sse"}


@pytest.mark.parametrize("channel", DIALECTS)
def test_sent_frames_are_exactly_the_documented_ones(channel: str) -> None:
    is_native = channel == "native"
    alone = (*ALONE, *NATIVE_ANSWERS) if is_native else ALONE
    said: list[bytes | None] = []
    for dialect in DIALECTS[channel]:
        said += [dialect.push(push) for push in PUSHES]
        said += [dialect.reply(reply, None) for reply in (*UNASKED, *(NATIVE_NOTICES if is_native else ()))]
        for ref in REFS:
            said += [dialect.reply(reply, Request(SendMessage("Hi", "c1"), "message", 5, ref)) for reply in ANSWERS]
            said += [dialect.reply(reply, Request(Ping(), "ping", None, ref)) for reply in alone]
    frames = [orjson.loads(payload) for payload in said if payload is not None]
    for frame in frames:
        assert is_documented(channel, "send", frame), frame
    for name, message in messages_of(channel, "send").items():
        documented = validator([message["payload"]])
        assert any(documented.is_valid(frame) for frame in frames), f"{name} is never told"


def test_events_of_streams_are_exactly_the_documented_ones() -> None:
    dialect = SseDialect()
    subscribe = Request(Subscribe(None), "subscribe", 5)
    said = [dialect.push(push) for push in PUSHES]
    said += [dialect.reply(reply, None) for reply in (*UNASKED, *NATIVE_NOTICES)]
    said += [dialect.reply(reply, subscribe) for reply in (Established(5, "", 7, "e1"), *ERRORS)]
    said.append(dialect.reply(UsersPresence([]), Request(SubscribePresence([]), "subscribe_presence")))
    payloads = [payload.rpartition(b"\n")[2] for payload in said if payload is not None]
    payloads.append(farewell(Close.DRAIN, '{"retry_after_ms":700}').partition(b"data: ")[2])
    frames = [orjson.loads(payload) for payload in payloads]
    for frame in frames:
        assert is_documented("sse", "send", frame), frame
    for name, message in messages_of("sse", "send").items():
        documented = validator([message["payload"]])
        assert any(documented.is_valid(frame) for frame in frames), f"{name} is never told"
