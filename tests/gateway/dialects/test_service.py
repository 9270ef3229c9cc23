"""Golden JSON of seed 001; the seed's own document is in tests/seeds/."""

from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest
from msgspec.structs import replace

from gateway.dialects.base import EchoPolicy, Request
from gateway.dialects.service import ServiceDialect
from gateway.protocol.codes import ErrorCode
from gateway.protocol.commands import Ping, SendMessage
from gateway.protocol.pushes import ChatChanged, MessagesRead, PresenceChange, PresenceCount, Push, Typing
from gateway.protocol.replies import CaughtUp, ErrorReply, Established, Pong, Reset, Stored
from storage.chat_records import ChatDetails
from storage.records import ChatEvent, EventKind, Person

ANN = Person(1, "ann")
MESSAGE = ChatEvent(
    chat_id=1,
    seq=7,
    kind=EventKind.MESSAGE,
    message_id=1,
    sender=ANN,
    text="Текст сообщения",
    created_at=datetime(2024, 1, 1, 12, 0, 0, 999999, tzinfo=UTC),
    is_edited=False,
    is_deleted=False,
    client_msg_id="c1",
)
SEEDS_FORM = (
    '{"type":"message","id":1,"content":"Текст сообщения","sender_id":1,"chat_id":1,"created_at":"2024-01-01T12:00:00"'
)
WITH_ID = Request(SendMessage("a", "c1"), name="message")
WITHOUT_ID = Request(SendMessage("a", None), name="message")

dialect = ServiceDialect(max_text_length=1000)
resuming = ServiceDialect(max_text_length=1000, resumes=True)


def decode(value: object) -> Request | ErrorReply:
    return dialect.decode(value if isinstance(value, bytes) else orjson.dumps(value), True)


@pytest.mark.parametrize(
    ("frame", "command"),
    [
        ({"type": "message", "content": "Привет!"}, SendMessage("Привет!", None)),
        ({"type": "message", "content": "a", "client_msg_id": "x" * 64}, SendMessage("a", "x" * 64)),
        ({"type": "message", "content": "я" * 1000}, SendMessage("я" * 1000, None)),
        ({"type": "ping"}, Ping()),
    ],
)
def test_command_is_decoded(frame: dict[str, object], command: object) -> None:
    assert decode(frame) == Request(command, name=frame["type"])


@pytest.mark.parametrize(
    ("frame", "code", "message"),
    [
        (b"{", ErrorCode.INVALID_JSON, "Invalid JSON format"),
        (b"[]", ErrorCode.INVALID_JSON, "Invalid JSON format"),
        ({"type": "message"}, ErrorCode.EMPTY_TEXT, "Message text cannot be empty"),
        ({"type": "message", "text": "a"}, ErrorCode.EMPTY_TEXT, "Message text cannot be empty"),
        ({"type": "message", "content": " \n"}, ErrorCode.EMPTY_TEXT, "Message text cannot be empty"),
        ({"type": "message", "content": "\u3164"}, ErrorCode.EMPTY_TEXT, "Message text cannot be empty"),
        (
            {"type": "message", "content": "a" * 1001},
            ErrorCode.TEXT_TOO_LONG,
            "Message text is too long (maximum 1000 characters)",
        ),
        (
            {"type": "message", "content": "a\0"},
            ErrorCode.INVALID_TEXT,
            "Message text contains characters that cannot be stored",
        ),
        (
            {"type": "message", "content": "a", "client_msg_id": ""},
            ErrorCode.INVALID_FIELD,
            "Invalid field client_msg_id: expected a string of 1 to 64 characters",
        ),
        ({"type": "typing", "is_typing": True}, ErrorCode.UNKNOWN_TYPE, "Unknown message type: typing"),
        ({"type": "history"}, ErrorCode.UNKNOWN_TYPE, "Unknown message type: history"),
        ({"content": "a"}, ErrorCode.UNKNOWN_TYPE, "Unknown message type: null"),
        ({"type": ["message"]}, ErrorCode.UNKNOWN_TYPE, 'Unknown message type: ["message"]'),
    ],
)
def test_invalid_command_gets_error_of_seed_004(frame: object, code: ErrorCode, message: str) -> None:
    error = decode(frame)
    assert error == ErrorReply(code, message)
    assert isinstance(error, ErrorReply)
    answer = orjson.loads(dialect.reply(error, None) or b"")
    assert answer == {"type": "error", "message": message, "code": code.value}


def test_binary_frame_is_rejected() -> None:
    assert dialect.decode(b'{"type":"ping"}', False) == ErrorReply(ErrorCode.INVALID_JSON, "Invalid JSON format")


def test_message_is_flat_with_seed_keys_first_then_additions() -> None:
    expected = SEEDS_FORM + ',"seq":7,"client_msg_id":"c1","is_edited":false,"is_deleted":false}'
    assert (dialect.push(MESSAGE) or b"").decode() == (resuming.push(MESSAGE) or b"").decode() == expected


def test_times_are_converted_to_utc() -> None:
    elsewhere = replace(MESSAGE, created_at=MESSAGE.created_at.astimezone(timezone(timedelta(hours=5))))
    assert dialect.push(elsewhere) == dialect.push(MESSAGE)


def test_edit_and_deletion_repeat_message_with_new_state() -> None:
    edit = replace(MESSAGE, seq=8, kind=EventKind.EDIT, text="b", is_edited=True, client_msg_id="c2")
    assert orjson.loads(dialect.push(edit) or b"") == {
        "type": "message",
        "id": 1,
        "content": "b",
        "sender_id": 1,
        "chat_id": 1,
        "created_at": "2024-01-01T12:00:00",
        "seq": 8,
        "client_msg_id": "c2",
        "is_edited": True,
        "is_deleted": False,
    }
    deletion = replace(MESSAGE, seq=9, kind=EventKind.DELETE, text="", is_deleted=True)
    pushed = orjson.loads(dialect.push(deletion) or b"")
    assert (pushed["id"], pushed["content"], pushed["is_deleted"], pushed["seq"]) == (1, "", True, 9)


@pytest.mark.parametrize(
    "push",
    [
        Typing(1, ANN, True),
        MessagesRead(1, ANN, 7),
        PresenceChange(1, 1, "ann", "join", 1),
        PresenceCount(1, 51),
        ChatChanged(1, ChatDetails(1, "Lunch", None, "", None, 2)),
    ],
)
def test_only_messages_are_pushed(push: Push) -> None:
    assert dialect.push(push) is None


def test_resuming_client_gets_ack_for_every_message() -> None:
    ack = '{"type":"ack","client_msg_id":"c1","id":1,"seq":7,"epoch":"e1"}'
    for request in (WITH_ID, WITHOUT_ID):
        assert (resuming.reply(Stored(MESSAGE, duplicate=False, epoch="e1"), request) or b"").decode() == ack
    again = resuming.reply(Stored(MESSAGE, duplicate=True, epoch="e1"), WITH_ID) or b""
    assert again.decode() == ack[:-1] + ',"duplicate":true}'


def test_other_client_gets_ack_only_with_an_id() -> None:
    assert dialect.reply(Stored(MESSAGE, duplicate=False, epoch="e1"), WITHOUT_ID) is None
    assert dialect.reply(Stored(MESSAGE, duplicate=True, epoch="e1"), WITH_ID) == resuming.reply(
        Stored(MESSAGE, duplicate=True, epoch="e1"), WITH_ID
    )


def test_echo_policy_depends_on_since() -> None:
    assert (dialect.echo, resuming.echo) == (EchoPolicy.NONE, EchoPolicy.OTHER_SOCKETS)
    assert dialect.name == resuming.name


def test_only_resuming_client_gets_position_and_none_greeting() -> None:
    assert orjson.loads(resuming.reply(CaughtUp(1, 7, "e"), None) or b"") == {
        "type": "caught_up",
        "chat_id": 1,
        "seq": 7,
        "epoch": "e",
    }
    assert orjson.loads(resuming.reply(Reset(1, 7, "e"), None) or b"")["type"] == "reset"
    assert dialect.reply(CaughtUp(1, 7, "e"), None) is None
    assert dialect.reply(Reset(1, 7, "e"), None) is None
    for each in (dialect, resuming):
        assert each.reply(Established(1, "node", 7, "e"), None) is None
        assert (each.reply(Pong(), None) or b"").decode() == '{"type":"pong"}'
