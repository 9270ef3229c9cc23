"""Reactions in every dialect: the command, the push, the responses, and messages with their counts."""

from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from gateway.dialects.base import Dialect, Request
from gateway.dialects.chat import ChatDialect
from gateway.dialects.native import NativeDialect
from gateway.dialects.public import PublicDialect
from gateway.dialects.room import RoomDialect
from gateway.dialects.service import ServiceDialect
from gateway.protocol.commands import React
from gateway.protocol.replies import ErrorReply, HistoryPage, Stored, Unreacted
from storage.reaction_records import Reaction
from storage.records import EventKind
from tests.gateway.dialects.samples import MESSAGE

CHAT, PUBLIC, NATIVE = ChatDialect(), PublicDialect(), NativeDialect()
SERVICE, RESUMING = ServiceDialect(), ServiceDialect(resumes=True)
COUNTED = replace(MESSAGE, reactions='{"👍": 2, "❤️": 1}')
REACTION = Reaction(2, "👍", removed=False, counts='{"👍": 1}')
REACTED = replace(COUNTED, seq=8, kind=EventKind.REACTION, client_msg_id="r1", reaction=REACTION)
OBJECT = {"message_id": 123, "key": "👍", "user_id": 2, "removed": False, "counts": {"👍": 1}}
PUSH = {"type": "reaction", **OBJECT, "seq": 8, "client_msg_id": "r1"}
COMMAND = {"type": "react", "message_id": 123, "key": "👍"}


def read(payload: bytes | None) -> Any:
    return None if payload is None else orjson.loads(payload)


@pytest.mark.parametrize("dialect", [CHAT, PUBLIC, SERVICE, NATIVE], ids=lambda dialect: dialect.name)
def test_command_is_decoded(dialect: Dialect) -> None:
    in_chat = {"chat_id": 1} if dialect is NATIVE else {}
    for fields, command in (
        ({}, React(123, "👍", False, None)),
        ({"remove": True, "client_msg_id": "r1"}, React(123, "👍", True, "r1")),
        ({"remove": None, "key": "👩‍👩‍👧‍👦"}, React(123, "👩‍👩‍👧‍👦", False, None)),
        ({"remove": False, "key": "x" * 32}, React(123, "x" * 32, False, None)),
    ):
        decoded = dialect.decode(orjson.dumps(COMMAND | in_chat | fields), True)
        assert decoded == Request(command, name="react", chat_id=in_chat.get("chat_id")), fields


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        *(({"message_id": value}, "message_id") for value in (None, 0, "1", True, 2**63)),
        *(({"key": value}, "key") for value in (None, "", 1, "x" * 33, "a\n", "\x00", "\x7f", "a\x85", " ", "\u200b")),
        *(({"remove": value}, "remove") for value in (1, "true", [])),
        ({"client_msg_id": ""}, "client_msg_id"),
    ],
)
def test_invalid_field_is_named(fields: dict[str, Any], named: str) -> None:
    for dialect, in_chat in ((CHAT, {}), (SERVICE, {}), (NATIVE, {"chat_id": 1})):
        error = dialect.decode(orjson.dumps(COMMAND | in_chat | fields), True)
        assert isinstance(error, ErrorReply)
        assert f"Invalid field {named}: expected" in error.message


def test_push_has_the_counts_after_the_event() -> None:
    for dialect in (CHAT, PUBLIC):
        assert read(dialect.push(REACTED)) == PUSH
    for flat in (NATIVE, SERVICE, RESUMING):
        assert read(flat.push(REACTED)) == PUSH | {"chat_id": 1}
    assert RoomDialect("room1", resumes=True).push(REACTED) is None


def test_message_has_its_present_counts() -> None:
    assert read(CHAT.push(COUNTED))["data"]["reactions"] == {"👍": 2, "❤️": 1}
    assert read(SERVICE.push(COUNTED))["reactions"] == {"👍": 2, "❤️": 1}
    for dialect in (CHAT, SERVICE):
        assert b"reaction" not in (dialect.push(MESSAGE) or b"")


def test_history_has_own_reactions_and_the_event() -> None:
    page = read(CHAT.reply(HistoryPage(1, [MESSAGE, COUNTED, REACTED], 8, {123: ["👍"]}), None))["messages"]
    assert [message.get("own_reactions") for message in page] == [None, ["👍"], ["👍"]]
    assert [message.get("reaction") for message in page] == [None, None, OBJECT]
    assert [message["seq"] for message in page] == [7, 7, 8]


def test_retry_gets_the_first_event_again() -> None:
    stored = Stored(REACTED, duplicate=True, epoch="e1")
    assert read(CHAT.reply(stored, None)) == PUSH | {"duplicate": True}
    ack = {"type": "ack", "client_msg_id": "r1", "seq": 8, "epoch": "e1", "duplicate": True}
    with_id = Request(React(123, "👍", False, "r1"), "react", 1, 5)
    assert read(NATIVE.reply(stored, with_id)) == ack | {"message_id": 123, "id": 5, "chat_id": 1}
    assert read(SERVICE.reply(stored, with_id)) == ack | {"id": 123}


def test_reaction_that_changed_nothing_gets_a_response() -> None:
    reply = Unreacted(123, REACTION)
    bare, with_id = (
        Request(React(123, "👍", False, None), "react"),
        Request(React(123, "👍", False, "r1"), "react", 1, 5),
    )
    again = {"type": "reaction", **OBJECT, "duplicate": True}
    assert read(CHAT.reply(reply, bare)) == again
    assert read(NATIVE.reply(reply, replace_chat(bare))) == again | {"chat_id": 1}
    assert read(NATIVE.reply(reply, with_id)) == {
        "type": "ack", "message_id": 123, "duplicate": True, "id": 5, "chat_id": 1,
    }  # fmt: skip
    ack = {"type": "ack", "id": 123, "duplicate": True}
    assert SERVICE.reply(reply, bare) is None
    assert read(RESUMING.reply(reply, bare)) == ack
    assert read(SERVICE.reply(reply, with_id)) == ack | {"client_msg_id": "r1"}


def replace_chat(request: Request) -> Request:
    return Request(request.command, request.name, 1)
