"""Golden JSON of the native protocol; what it shares with seed 004 is tested there."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from gateway.dialects.base import Request
from gateway.dialects.native import NativeDialect
from gateway.protocol.codes import ErrorCode
from gateway.protocol.commands import (
    Command,
    DeleteMessage,
    EditMessage,
    GetHistory,
    Hello,
    MarkRead,
    Ping,
    SendMessage,
    SetTyping,
    Subscribe,
    Unsubscribe,
)
from gateway.protocol.ids import UNREADABLE, Since
from gateway.protocol.pushes import MessagesRead, PresenceChange, PresenceCount, Push, Typing
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
    Reply,
    Reset,
    Stored,
    Truncated,
)
from storage.records import ChatEvent, EventKind, Person

JOHN = Person(1, "john_doe", "John", "Doe")
JOHN_AS_USER = {"user_id": 1, "username": "john_doe", "display_name": "John Doe"}
MESSAGE = ChatEvent(
    chat_id=5,
    seq=7,
    kind=EventKind.MESSAGE,
    message_id=123,
    sender=JOHN,
    text="Привет",
    created_at=datetime(2024, 1, 15, 10, 30, 0, tzinfo=UTC),
    is_edited=False,
    is_deleted=False,
    client_msg_id="c1",
)
DATA = {
    "id": 123,
    "text": "Привет",
    "sender": {"id": 1, "username": "john_doe", "first_name": "John", "last_name": "Doe", "display_name": "John Doe"},
    "timestamp": "2024-01-15T10:30:00Z",
    "is_edited": False,
    "is_deleted": False,
    "seq": 7,
    "client_msg_id": "c1",
}
ACK = {"type": "ack", "message_id": 123, "seq": 7, "client_msg_id": "c1", "epoch": "e1"}

dialect = NativeDialect(max_text_length=1000)


def decode(frame: object) -> Request | ErrorReply:
    return dialect.decode(frame if isinstance(frame, bytes) else orjson.dumps(frame), True)


@pytest.mark.parametrize(
    ("frame", "command"),
    [
        ({"type": "hello", "message": "Привет, сервер!"}, Hello("Привет, сервер!")),
        ({"type": "hello"}, Hello("")),
        ({"type": "ping"}, Ping()),
        ({"type": "subscribe", "chat_id": 5}, Subscribe(None)),
        ({"type": "subscribe", "chat_id": 5, "since": 0}, Subscribe(Since(0))),
        ({"type": "subscribe", "chat_id": 5, "since": "e1:9"}, Subscribe(Since(9, "e1"))),
        ({"type": "subscribe", "chat_id": 5, "since": "9"}, Subscribe(Since(9))),
        ({"type": "subscribe", "chat_id": 5, "since": "nonsense"}, Subscribe(UNREADABLE)),
        ({"type": "unsubscribe", "chat_id": 5}, Unsubscribe()),
        ({"type": "message", "chat_id": 5, "text": "a", "client_msg_id": "x"}, SendMessage("a", "x")),
        ({"type": "typing", "chat_id": 5, "is_typing": True}, SetTyping(True)),
        ({"type": "read_messages", "chat_id": 5, "seq": 3}, MarkRead(3)),
        ({"type": "history", "chat_id": 5, "limit": 10}, GetHistory(None, None, 10)),
    ],
)
@pytest.mark.parametrize("ref", [None, 0, 7, -1, "", "a", "Ъ"])
def test_command_is_decoded_with_its_chat_and_id(frame: dict[str, Any], command: Command, ref: str | int | None):
    numbered = frame if ref is None else frame | {"id": ref}
    assert decode(numbered) == Request(command, frame["type"], frame.get("chat_id"), ref)


def test_changed_message_is_named_by_message_id_or_id():
    edit = {"type": "edit_message", "chat_id": 5, "text": "b"}
    assert decode(edit | {"id": "q", "message_id": 3}) == Request(EditMessage(3, "b", None), "edit_message", 5, "q")
    assert decode(edit | {"id": 3}) == Request(EditMessage(3, "b", None), "edit_message", 5, 3)
    delete = {"type": "delete_message", "chat_id": 5}
    assert decode(delete | {"message_id": 3}) == Request(DeleteMessage(3, None), "delete_message", 5, None)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"type": "hello", "message": 5}, ErrorCode.INVALID_FIELD),
        ({"type": "nonsense"}, ErrorCode.UNKNOWN_TYPE),
        ({}, ErrorCode.UNKNOWN_TYPE),
        ({"type": ["hello"]}, ErrorCode.UNKNOWN_TYPE),
        ({"type": "subscribe"}, ErrorCode.INVALID_FIELD),
        ({"type": "subscribe", "chat_id": "5"}, ErrorCode.INVALID_FIELD),
        ({"type": "subscribe", "chat_id": True}, ErrorCode.INVALID_FIELD),
        ({"type": "subscribe", "chat_id": 0}, ErrorCode.INVALID_FIELD),
        ({"type": "subscribe", "chat_id": 2**63}, ErrorCode.INVALID_FIELD),
        ({"type": "subscribe", "chat_id": 5, "since": -1}, ErrorCode.INVALID_FIELD),
        ({"type": "subscribe", "chat_id": 5, "since": 1.5}, ErrorCode.INVALID_FIELD),
        ({"type": "subscribe", "chat_id": 5, "since": False}, ErrorCode.INVALID_FIELD),
        ({"type": "unsubscribe"}, ErrorCode.INVALID_FIELD),
        ({"type": "message", "text": "a"}, ErrorCode.INVALID_FIELD),
        ({"type": "message", "chat_id": 5, "text": ""}, ErrorCode.EMPTY_TEXT),
        ({"type": "message", "chat_id": 5, "text": "\u2800"}, ErrorCode.EMPTY_TEXT),
        ({"type": "edit_message", "chat_id": 5, "message_id": 1, "text": "\u200b"}, ErrorCode.EMPTY_TEXT),
        ({"type": "edit_message", "chat_id": 5, "message_id": "3", "text": "a"}, ErrorCode.INVALID_FIELD),
    ],
)
@pytest.mark.parametrize("ref", [0, "a"])
def test_error_has_id_of_its_command(frame: dict[str, Any], code: str, ref: str | int):
    error = decode(frame | {"id": ref})
    assert isinstance(error, ErrorReply)
    assert (error.code, error.ref) == (code, ref)
    told = orjson.loads(dialect.reply(error, None) or b"")
    assert (told["type"], told["id"], told["code"]) == ("error", ref, code)


@pytest.mark.parametrize("ref", [True, 1.5, [], {}, b"12345678901234567890123"])
def test_id_of_other_type_gets_error_without_id(ref: object):
    given = ref if isinstance(ref, bytes) else orjson.dumps(ref)
    error = decode(b'{"type":"ping","id":' + given + b"}")
    assert isinstance(error, ErrorReply)
    assert (error.code, error.ref) == (ErrorCode.INVALID_FIELD, None)
    assert "id" not in orjson.loads(dialect.reply(error, None) or b"")


@pytest.mark.parametrize("payload", [b"", b"[]", b"not json", b'{"id":1,"type":"ping"'])
def test_payload_that_is_not_an_object_gets_seed_004_error(payload: bytes):
    assert decode(payload) == ErrorReply(ErrorCode.INVALID_JSON, "Invalid JSON format")
    assert dialect.decode(b'{"type":"ping"}', False) == ErrorReply(ErrorCode.INVALID_JSON, "Invalid JSON format")


@pytest.mark.parametrize(
    ("push", "frame"),
    [
        (MESSAGE, {"type": "message", "data": DATA, "chat_id": 5}),
        (
            Typing(5, JOHN, is_typing=True),
            {"type": "typing", **JOHN_AS_USER, "is_typing": True, "chat_id": 5},
        ),
        (MessagesRead(5, JOHN, 7), {"type": "messages_read", **JOHN_AS_USER, "seq": 7, "chat_id": 5}),
        (
            PresenceChange(5, 1, "john_doe", "join", 2, "John Doe"),
            {"type": "presence", **JOHN_AS_USER, "status": "join", "chat_id": 5},
        ),
        (
            PresenceChange(5, 1, "john_doe", "leave", 2),
            {"type": "presence", **JOHN_AS_USER, "display_name": "john_doe", "status": "leave", "chat_id": 5},
        ),
        (PresenceCount(5, 51), {"type": "presence_count", "count": 51, "chat_id": 5}),
    ],
)
def test_push_is_that_of_seed_004_with_chat_id(push: Push, frame: dict[str, Any]):
    assert orjson.loads(dialect.push(push) or b"") == frame


@pytest.mark.parametrize(
    ("reply", "frame"),
    [
        (Established(5, "n", 9, "e1"), {"type": "ack", "result": {"last_seq": 9, "epoch": "e1"}}),
        (Stored(MESSAGE, duplicate=False, epoch="e1"), ACK),
        (Stored(MESSAGE, duplicate=True, epoch="e1"), ACK | {"duplicate": True}),
        (Done(), {"type": "ack"}),
        (HistoryPage(5, [MESSAGE], 9), {"type": "ack", "result": {"messages": [DATA], "last_seq": 9}}),
        (PresenceState(5, []), {"type": "ack", "result": {"members": []}}),
        (ErrorReply(ErrorCode.FORBIDDEN, "No"), {"type": "error", "message": "No", "code": "forbidden"}),
    ],
)
@pytest.mark.parametrize("ref", [0, 7, "a", ""])
def test_command_with_id_gets_one_response_with_it(reply: Reply, frame: dict[str, Any], ref: str | int):
    answer = dialect.reply(reply, Request(Ping(), "whatever", 5, ref))
    assert orjson.loads(answer or b"") == frame | {"id": ref, "chat_id": 5}


@pytest.mark.parametrize(
    ("reply", "frame"),
    [
        (Established(5, "n", 9, "e1"), {"type": "ack", "result": {"last_seq": 9, "epoch": "e1"}, "chat_id": 5}),
        (Stored(MESSAGE, duplicate=False, epoch="e1"), None),
        (
            Stored(MESSAGE, duplicate=True, epoch="e1"),
            {"type": "message", "data": DATA, "duplicate": True, "chat_id": 5},
        ),
        (Done(), None),
        (HistoryPage(5, [], 9), {"type": "history", "messages": [], "last_seq": 9, "chat_id": 5}),
        (PresenceState(5, []), {"type": "presence_state", "members": [], "chat_id": 5}),
    ],
)
def test_command_without_id_gets_response_of_seed_004(reply: Reply, frame: dict[str, Any] | None):
    answer = dialect.reply(reply, Request(Ping(), "whatever", 5))
    assert (None if answer is None else orjson.loads(answer)) == frame


@pytest.mark.parametrize(
    ("greeting", "frame"),
    [
        (
            Greeting("c", 4, "Привет", "n1"),
            {"client_id": "c", "user_id": 4, "authenticated": True, "message": "Привет"},
        ),
        (Greeting("c", None, "", "n1"), {"client_id": "c", "user_id": None, "authenticated": False, "message": ""}),
    ],
)
def test_hello_and_ping_have_their_own_responses(greeting: Greeting, frame: dict[str, Any]):
    hello = Request(Hello(greeting.message), "hello", None, 0)
    of_id = {"type": "hello", "id": 0, "node": "n1", "max_text_length": 1000}
    assert orjson.loads(dialect.reply(greeting, hello) or b"") == frame | of_id
    without_id = dialect.reply(greeting, Request(Hello(greeting.message), "hello"))
    assert orjson.loads(without_id or b"") == frame | {"type": "hello"}
    assert orjson.loads(dialect.reply(Pong(), Request(Ping(), "ping", None, "a")) or b"") == {"type": "pong", "id": "a"}
    assert orjson.loads(dialect.reply(Pong(), Request(Ping(), "ping")) or b"") == {"type": "pong"}


@pytest.mark.parametrize(
    ("reply", "frame"),
    [
        (CaughtUp(5, 9, "e1"), {"type": "caught_up", "chat_id": 5, "seq": 9, "epoch": "e1"}),
        (Truncated(5, 4), {"type": "truncated", "chat_id": 5, "first_seq": 4}),
        (Reset(5, 9, "e1"), {"type": "reset", "chat_id": 5, "last_seq": 9, "epoch": "e1"}),
        (ChatAdded(5), {"type": "chat_added", "chat_id": 5}),
        (ChatRemoved(5), {"type": "chat_removed", "chat_id": 5}),
        (ChatActivity(5, 9), {"type": "chat_activity", "chat_id": 5, "last_seq": 9}),
        (ChatRead(5, 9, 100), {"type": "chat_read", "chat_id": 5, "seq": 9, "unread": 100}),
        (Direct(b'{"any": [1, null]}'), {"type": "direct", "data": {"any": [1, None]}}),
    ],
)
def test_unsolicited_notices_have_documented_format(reply: Reply, frame: dict[str, Any]):
    assert orjson.loads(dialect.reply(reply, None) or b"") == frame
