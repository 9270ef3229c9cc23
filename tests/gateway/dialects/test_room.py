"""Golden JSON of seed 002; the seed's own document is in tests/seeds/."""

from datetime import UTC, datetime

import orjson
import pytest

from gateway.dialects.base import EchoPolicy
from gateway.dialects.room import UNASKED, RoomDialect
from gateway.protocol.codes import ErrorCode
from gateway.protocol.pushes import ChatChanged, MessagesRead, PresenceChange, PresenceCount, Push, Typing
from gateway.protocol.refusals import UNAVAILABLE
from gateway.protocol.replies import CaughtUp, Established, Pong, Reply, Reset
from storage.chat_records import ChatDetails
from storage.records import SYSTEM, ChatEvent, EventKind, Person

MESSAGE = ChatEvent(
    chat_id=5,
    seq=3,
    kind=EventKind.MESSAGE,
    message_id=9,
    sender=SYSTEM,
    text="Hello, Room!",
    created_at=datetime(2024, 1, 1, 12, 0, 0, 999999, tzinfo=UTC),
    is_edited=False,
    is_deleted=False,
    client_msg_id="c1",
)
ANN = Person(1, "ann")

dialect = RoomDialect("room1")
resuming = RoomDialect("room1", resumes=True)


def test_message_has_seed_keys_first_then_additions() -> None:
    expected = (
        '{"room_id":"room1","content":"Hello, Room!","id":9,"seq":3,"created_at":"2024-01-01T12:00:00Z",'
        '"client_msg_id":"c1"}'
    )
    assert (dialect.push(MESSAGE) or b"").decode() == (resuming.push(MESSAGE) or b"").decode() == expected


@pytest.mark.parametrize(
    "push",
    [
        Typing(5, ANN, True),
        MessagesRead(5, ANN, 3),
        PresenceChange(5, -1, "ann", "join", 1),
        PresenceCount(5, 51),
        ChatChanged(5, ChatDetails(5, "Lunch", None, "", None, 2)),
    ],
)
def test_only_messages_are_pushed(push: Push) -> None:
    assert dialect.push(push) is None


@pytest.mark.parametrize("frame", ["", "{", '{"type":"message","text":"a"}', '{"room_id":"room1","content":"a"}'])
def test_any_input_is_rejected_without_reply(frame: str) -> None:
    assert dialect.decode(frame.encode(), True) == dialect.decode(frame.encode(), False) == UNASKED
    assert UNASKED.code is ErrorCode.UNKNOWN_TYPE
    assert dialect.reply(UNASKED, None) is None


@pytest.mark.parametrize("reply", [Established(5, "node", 3, "e"), Pong(), UNAVAILABLE])
def test_client_gets_no_greeting_or_replies(reply: Reply) -> None:
    assert dialect.reply(reply, None) is None
    assert resuming.reply(reply, None) is None


def test_only_resuming_client_gets_position() -> None:
    caught_up = {"type": "caught_up", "chat_id": 5, "seq": 3, "epoch": "e"}
    assert orjson.loads(resuming.reply(CaughtUp(5, 3, "e"), None) or b"") == caught_up
    assert orjson.loads(resuming.reply(Reset(5, 3, "e"), None) or b"")["type"] == "reset"
    assert dialect.reply(CaughtUp(5, 3, "e"), None) is None
    assert dialect.reply(Reset(5, 3, "e"), None) is None


def test_room_dialects_share_their_encodings() -> None:
    assert (dialect.name, dialect.echo) == (resuming.name, resuming.echo) == ("room", EchoPolicy.ALL)
