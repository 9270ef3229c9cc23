"""The public channel speaks seed 004's dialect, and takes plain text for a message."""

import pytest

from gateway.codes import ErrorCode
from gateway.dialects.base import Request
from gateway.dialects.chat import ChatDialect
from gateway.dialects.public import PublicDialect
from gateway.messages import Established, Ping, Pong, SendMessage, Stored
from tests.gateway.dialects.test_chat import MESSAGE

dialect = PublicDialect(max_text_length=20)
chat = ChatDialect(max_text_length=20)


@pytest.mark.parametrize("text", ["Привет!", "{", "5", "null", '"quoted"', "[1]", '{"type":', " a ", "a\nb", "NaN"])
def test_what_is_no_json_object_is_a_message_of_that_text(text: str) -> None:
    assert dialect.decode(text.encode(), True) == Request(SendMessage(text, None), name="message")


@pytest.mark.parametrize(
    ("text", "code"),
    [("", ErrorCode.EMPTY_TEXT), (" \n", ErrorCode.EMPTY_TEXT), ("x" * 21, ErrorCode.TEXT_TOO_LONG)],
)
def test_a_bad_text_is_refused_as_one_in_json(text: str, code: ErrorCode) -> None:
    refused = dialect.decode(text.encode(), True)
    assert not isinstance(refused, Request)
    assert refused.code is code


@pytest.mark.parametrize(
    "frame",
    [
        b'{"type":"ping"}',
        b'{"type":"message","text":"a","client_msg_id":"c"}',
        b'{"type":"message"}',
        b'{"type":"nothing"}',
        b"{}",
        b'{"type":"message","text":"\\ud800"}',
    ],
)
def test_a_json_object_is_a_command_of_seed_004(frame: bytes) -> None:
    assert dialect.decode(frame, True) == chat.decode(frame, True)
    assert dialect.decode(b'{"type":"ping"}', True) == Request(Ping(), name="ping")


def test_a_binary_frame_is_no_text() -> None:
    assert dialect.decode(b"hello", False) == chat.decode(b"hello", False)


def test_what_is_written_is_seed_004s() -> None:
    assert dialect.push(MESSAGE) == chat.push(MESSAGE)
    for reply in (Established(1, "node", 7, "e"), Stored(MESSAGE, duplicate=True, epoch="e1"), Pong()):
        assert dialect.reply(reply, None) == chat.reply(reply, None)
