"""Golden JSON of seed 004; the seed's own documents are in tests/seeds/."""

from datetime import UTC, datetime

import orjson
import pytest

from gateway.dialects.base import Request
from gateway.dialects.chat import ChatDialect, message_object, present_object
from gateway.protocol.codes import ErrorCode
from gateway.protocol.commands import (
    DeleteMessage,
    EditMessage,
    GetHistory,
    GetPresence,
    MarkRead,
    Ping,
    SendMessage,
    SetTyping,
)
from gateway.protocol.pushes import ChatChanged, MessagesRead, PresenceChange, PresenceCount, Typing
from gateway.protocol.replies import (
    CaughtUp,
    ErrorReply,
    Established,
    HistoryPage,
    Pong,
    PresenceState,
    Present,
    Reset,
    Stored,
    Truncated,
)
from storage.chat_records import ChatDetails
from storage.records import ChatEvent, EventKind, Person
from tests.gateway.dialects.samples import JOHN, MESSAGE

DATA = {
    "id": 123,
    "text": "Привет, как дела?",
    "sender": {"id": 1, "username": "john_doe", "first_name": "John", "last_name": "Doe"},
    "timestamp": "2024-01-15T10:30:00Z",
    "is_edited": False,
    "is_deleted": False,
    "seq": 7,
    "client_msg_id": "c1",
}

dialect = ChatDialect(max_text_length=1000)


def decode(value: object) -> Request | ErrorReply:
    return dialect.decode(value if isinstance(value, bytes) else orjson.dumps(value), True)


@pytest.mark.parametrize(
    ("frame", "command"),
    [
        ({"type": "message", "text": "Привет, как дела?"}, SendMessage("Привет, как дела?", None)),
        ({"type": "message", "text": "a", "client_msg_id": "x" * 64}, SendMessage("a", "x" * 64)),
        ({"type": "message", "text": "я" * 1000}, SendMessage("я" * 1000, None)),
        ({"type": "message", "text": "👋" * 1000}, SendMessage("👋" * 1000, None)),
        ({"type": "message", "text": "a", "data": {"b": 1, "a": [None]}}, SendMessage("a", None, '{"b":1,"a":[null]}')),
        ({"type": "message", "text": "", "data": {}}, SendMessage("", None, "{}")),
        ({"type": "message", "text": None, "data": {}}, SendMessage("", None, "{}")),
        ({"type": "message", "data": {}}, SendMessage("", None, "{}")),
        ({"type": "message", "data": {}}, SendMessage("", None, "{}")),
        ({"type": "message", "text": "a", "data": None}, SendMessage("a", None)),
        ({"type": "message", "text": "a", "reply_to": 7}, SendMessage("a", None, reply_to=7)),
        ({"type": "message", "text": "a", "mentions": [3, 1, 3]}, SendMessage("a", None, mentions=(1, 3))),
        ({"type": "message", "text": "a", "mentions": [], "reply_to": None}, SendMessage("a", None)),
        ({"type": "edit_message", "id": 3, "text": "b", "mentions": "any"}, EditMessage(3, "b", None)),
        ({"type": "edit_message", "id": 3, "text": "", "data": {}}, EditMessage(3, "", None, "{}")),
        ({"type": "typing", "is_typing": True}, SetTyping(True)),
        ({"type": "typing", "is_typing": False}, SetTyping(False)),
        ({"type": "read_messages"}, MarkRead(None)),
        ({"type": "read_messages", "seq": 5}, MarkRead(5)),
        ({"type": "edit_message", "id": 3, "text": "b"}, EditMessage(3, "b", None)),
        ({"type": "delete_message", "id": 3, "client_msg_id": "d"}, DeleteMessage(3, "d")),
        ({"type": "history"}, GetHistory(None, None, 50)),
        ({"type": "history", "before_seq": 9, "limit": 200}, GetHistory(9, None, 200)),
        ({"type": "history", "after_seq": 0}, GetHistory(None, 0, 50)),
        ({"type": "presence"}, GetPresence()),
        ({"type": "ping", "what": "ever"}, Ping()),
    ],
)
def test_command_is_decoded(frame, command):
    assert decode(frame) == Request(command, name=frame["type"])


INVALID_JSON = ("Invalid JSON format", ErrorCode.INVALID_JSON)
TOO_DEEP = ("Invalid JSON format: nested too deeply", ErrorCode.INVALID_JSON)
EMPTY = ("Message text cannot be empty", ErrorCode.EMPTY_TEXT)
UNSTORABLE = ("Message text contains characters that cannot be stored", ErrorCode.INVALID_TEXT)


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"", INVALID_JSON),
        (b"not json", INVALID_JSON),
        (b"[]", INVALID_JSON),
        (b"17", INVALID_JSON),
        (b'"text"', INVALID_JSON),
        (b"null", INVALID_JSON),
        (b'{"type":"message","text":NaN}', INVALID_JSON),
        (b'{"type":"message","text":"a"', INVALID_JSON),
        (b"[" * 30_000 + b"]" * 30_000, INVALID_JSON),
        (b'{"a":' * 30_000 + b'"\\ud800"' + b"}" * 30_000, TOO_DEEP),
        *((b'{"type":' + b"[" * depth + b"]" * depth + b"}", TOO_DEEP) for depth in (32, 254, 255, 1022, 1023, 1024)),
        (
            b'{"type":' + b"[" * 31 + b"]" * 31 + b"}",
            ("Unknown message type: " + "[" * 31 + "]" * 31, ErrorCode.UNKNOWN_TYPE),
        ),
        ({"type": "x" * 60_000}, ("Unknown message type: " + "x" * 64, ErrorCode.UNKNOWN_TYPE)),
        ({"type": ["x" * 60_000]}, ('Unknown message type: ["' + "x" * 62, ErrorCode.UNKNOWN_TYPE)),
        (b'{"type":1e999}', INVALID_JSON),
        (b'{"type":' + b"9" * 60_000 + b"}", INVALID_JSON),
        (b'{"type":' + b"9" * 30 + b"}", ("Unknown message type: 1e+30", ErrorCode.UNKNOWN_TYPE)),
        (b'{"type":"ping","type":"nothing"}', ("Unknown message type: nothing", ErrorCode.UNKNOWN_TYPE)),
        ({"type": "message"}, EMPTY),
        ({"type": "message", "text": ""}, EMPTY),
        ({"type": "message", "text": " \t\n\u00a0"}, EMPTY),
        ({"type": "message", "text": "\u200b\ufeff \u2800"}, EMPTY),
        ({"type": "edit_message", "id": 1, "text": "\u3164"}, EMPTY),
        ({"type": "message", "text": 5}, EMPTY),
        ({"type": "message", "text": ["a"]}, EMPTY),
        ({"type": "message", "text": None}, EMPTY),
        ({"type": "message", "text": 5, "data": {}}, EMPTY),
        ({"type": "edit_message", "id": 1, "text": None, "data": {}}, EMPTY),
        (
            {"type": "message", "text": "a" * 1001},
            ("Message text is too long (maximum 1000 characters)", ErrorCode.TEXT_TOO_LONG),
        ),
        ({"type": "message", "text": "a\x00b"}, UNSTORABLE),
        (b'{"type":"message","text":"\\ud800"}', UNSTORABLE),
        (b'{"type":"message","text":"a\\uDC00b"}', UNSTORABLE),
        ({"type": "invalid_type"}, ("Unknown message type: invalid_type", ErrorCode.UNKNOWN_TYPE)),
        ({}, ("Unknown message type: null", ErrorCode.UNKNOWN_TYPE)),
        ({"type": None}, ("Unknown message type: null", ErrorCode.UNKNOWN_TYPE)),
        ({"type": 5}, ("Unknown message type: 5", ErrorCode.UNKNOWN_TYPE)),
        ({"type": "x" * 500}, ("Unknown message type: " + "x" * 64, ErrorCode.UNKNOWN_TYPE)),
    ],
)
def test_invalid_command_gets_documented_error(payload, error):
    reply = decode(payload)
    assert isinstance(reply, ErrorReply)
    assert (reply.message, reply.code) == error


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "typing"},
        {"type": "typing", "is_typing": 1},
        {"type": "read_messages", "seq": -1},
        {"type": "read_messages", "seq": True},
        {"type": "read_messages", "seq": 2**63},
        {"type": "edit_message", "id": "3", "text": "a"},
        {"type": "edit_message", "text": "a"},
        {"type": "delete_message", "id": 0},
        {"type": "delete_message", "id": 1.0},
        {"type": "message", "text": "a", "client_msg_id": ""},
        {"type": "message", "text": "a", "client_msg_id": "x" * 65},
        {"type": "message", "text": "a", "client_msg_id": 5},
        {"type": "message", "text": "a", "client_msg_id": "a\x00"},
        {"type": "history", "limit": 0},
        {"type": "history", "limit": 201},
        {"type": "history", "before_seq": 1, "after_seq": 1},
        {"type": "history", "after_seq": "1"},
    ],
)
def test_field_of_wrong_type_is_named(frame):
    reply = decode(frame)
    assert isinstance(reply, ErrorReply)
    assert reply.code is ErrorCode.INVALID_FIELD
    assert reply.message.startswith("Invalid field ")


def test_binary_frame_is_invalid_json():
    assert dialect.decode(b'{"type":"ping"}', False) == ErrorReply(ErrorCode.INVALID_JSON, "Invalid JSON format")


@pytest.mark.parametrize(
    ("push", "frame"),
    [
        (MESSAGE, {"type": "message", "data": DATA}),
        (
            Typing(1, JOHN, is_typing=True),
            {"type": "typing", "user_id": 1, "username": "john_doe", "is_typing": True},
        ),
        (MessagesRead(1, JOHN, 7), {"type": "messages_read", "user_id": 1, "username": "john_doe", "seq": 7}),
        (
            PresenceChange(1, 1, "john_doe", "join", 2),
            {"type": "presence", "user_id": 1, "username": "john_doe", "status": "join"},
        ),
        (PresenceCount(1, 51), {"type": "presence_count", "count": 51}),
        (
            ChatChanged(1, ChatDetails(1, "Lunch", "order-7", '{"a":[1.0]}', 30, 2)),
            {
                "type": "chat_changed",
                "chat_id": 1,
                "title": "Lunch",
                "key": "order-7",
                "data": {"a": [1.0]},
                "frozen": False,
                "slow_mode_s": 0,
                "retention_days": 30,
            },
        ),
    ],
)
def test_push_is_that_of_the_seed(push, frame):
    assert orjson.loads(dialect.push(push)) == frame


@pytest.mark.parametrize(
    ("reply", "frame"),
    [
        (
            Established(1, "node-a", 7, "e1"),
            {
                "type": "connection_established",
                "message": "Successfully connected to chat",
                "chat_id": 1,
                "node": "node-a",
                "last_seq": 7,
                "epoch": "e1",
                "max_text_length": 1000,
            },
        ),
        (Stored(MESSAGE, duplicate=True, epoch="e1"), {"type": "message", "data": DATA, "duplicate": True}),
        (HistoryPage(1, [MESSAGE], 9), {"type": "history", "messages": [DATA], "last_seq": 9}),
        (
            PresenceState(1, [Present(1, "john_doe", 1700000000)]),
            {
                "type": "presence_state",
                "members": [{"user_id": 1, "username": "john_doe", "connected_at": "2023-11-14T22:13:20Z"}],
            },
        ),
        (CaughtUp(1, 7, "e1"), {"type": "caught_up", "chat_id": 1, "seq": 7, "epoch": "e1"}),
        (Truncated(1, 4), {"type": "truncated", "chat_id": 1, "first_seq": 4}),
        (Reset(1, 7, "e1"), {"type": "reset", "chat_id": 1, "last_seq": 7, "epoch": "e1"}),
        (MessagesRead(1, JOHN, 7), {"type": "messages_read", "user_id": 1, "username": "john_doe", "seq": 7}),
        (Pong(), {"type": "pong"}),
        (
            ErrorReply(ErrorCode.RATE_LIMITED, "Too many messages, please wait", 12),
            {
                "type": "error",
                "message": "Too many messages, please wait",
                "code": "rate_limited",
                "retry_after_s": 12,
            },
        ),
    ],
)
def test_reply_is_the_documented_one(reply, frame):
    assert orjson.loads(dialect.reply(reply, None)) == frame


def test_stored_message_gets_no_separate_ack():
    assert dialect.reply(Stored(MESSAGE, duplicate=False, epoch="e1"), None) is None


def test_message_has_the_fields_of_seed_004() -> None:
    created_at = datetime(2024, 1, 15, 10, 30, tzinfo=UTC)
    event = ChatEvent(
        chat_id=7,
        seq=3,
        kind=EventKind.EDIT,
        message_id=11,
        sender=Person(1, "ann", "Ann", "Lee"),
        text="hello",
        created_at=created_at,
        is_edited=True,
        is_deleted=False,
        client_msg_id="c1",
    )
    assert message_object(event, is_named=False) == {
        "id": 11,
        "text": "hello",
        "sender": {"id": 1, "username": "ann", "first_name": "Ann", "last_name": "Lee"},
        "timestamp": created_at,
        "is_edited": True,
        "is_deleted": False,
        "seq": 3,
        "client_msg_id": "c1",
    }


def test_present_user_has_an_aware_connection_time() -> None:
    expected = {
        "user_id": 1,
        "username": "ann",
        "connected_at": datetime(2024, 1, 15, 10, 30, tzinfo=UTC),
        "display_name": "ann",
    }
    assert present_object(Present(1, "ann", 1705314600)) == expected
