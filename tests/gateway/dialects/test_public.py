"""The public channel uses seed 004's dialect and accepts plain text as a message."""

import pytest

from gateway.dialects.base import Request
from gateway.dialects.chat import ChatDialect
from gateway.dialects.public import PublicDialect
from gateway.protocol.codes import ErrorCode
from gateway.protocol.commands import Ping, SendMessage
from gateway.protocol.replies import Established, Pong, Stored
from tests.gateway.dialects.samples import MESSAGE

dialect = PublicDialect(max_text_length=20)
chat = ChatDialect(max_text_length=20)


@pytest.mark.parametrize("text", ["Привет!", "{", "5", "null", '"quoted"', "[1]", '{"type":', " a ", "a\nb", "NaN"])
def test_text_that_is_not_a_json_object_is_a_message(text: str) -> None:
    assert dialect.decode(text.encode(), True) == Request(SendMessage(text, None), name="message")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", ErrorCode.EMPTY_TEXT),
        (" \n", ErrorCode.EMPTY_TEXT),
        ("\u200b\ufeff", ErrorCode.EMPTY_TEXT),
        ("x" * 21, ErrorCode.TEXT_TOO_LONG),
    ],
)
def test_invalid_plain_text_is_rejected_as_in_json(text: str, code: ErrorCode) -> None:
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
        b'{"type":' + b"[" * 40 + b"]" * 40 + b"}",
        b' {"type":' + b"[" * 2000 + b"]" * 2000 + b"}",
    ],
)
def test_json_object_is_a_command_of_seed_004(frame: bytes) -> None:
    assert dialect.decode(frame, True) == chat.decode(frame, True)
    assert dialect.decode(b'{"type":"ping"}', True) == Request(Ping(), name="ping")


def test_binary_frame_is_rejected() -> None:
    assert dialect.decode(b"hello", False) == chat.decode(b"hello", False)


def test_sent_frames_are_those_of_seed_004() -> None:
    assert dialect.push(MESSAGE) == chat.push(MESSAGE)
    for reply in (Established(1, "node", 7, "e"), Stored(MESSAGE, duplicate=True, epoch="e1"), Pong()):
        assert dialect.reply(reply, None) == chat.reply(reply, None)
