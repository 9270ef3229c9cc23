"""The readers of every dialect: any bytes become a command, or one of the documented errors, in linear time."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final

from gateway.dialects.base import Dialect, Request
from gateway.dialects.chat import ChatDialect
from gateway.dialects.native import NativeDialect
from gateway.dialects.public import PublicDialect
from gateway.dialects.room import RoomDialect
from gateway.dialects.service import ServiceDialect
from gateway.protocol.codes import ErrorCode
from gateway.protocol.ids import MAX_ID
from gateway.protocol.replies import ErrorReply
from gateway.server.serve import MAX_FRAME_BYTES
from gateway.tracing.parts import TracedDialect
from tests.fuzz.case import Case
from tests.fuzz.targets import json_reading
from tests.fuzz.targets.json_texts import nearly_json

MAX_TEXT: Final = 1000
MAX_DEPTH: Final = 32
MAX_ERROR_BYTES: Final = 1024
READ_S: Final = 0.1
"""The most CPU of one reading; it takes some 2 ms for the worst 64 KiB."""
_OF_COMMANDS: Final = {
    ErrorCode.INVALID_JSON,
    ErrorCode.EMPTY_TEXT,
    ErrorCode.TEXT_TOO_LONG,
    ErrorCode.INVALID_TEXT,
    ErrorCode.INVALID_FIELD,
    ErrorCode.UNKNOWN_TYPE,
}
"""The errors of reading a command, as in docs/protocol.md."""
_COMMON: Final = {"message", "react", "ping", "refresh"}
_OF_CHAT: Final = _COMMON | {"edit_message", "delete_message", "typing", "read_messages", "history", "presence"}
_TYPES: Final = {
    "chat": _OF_CHAT,
    "public": _OF_CHAT,
    "native": _OF_CHAT | {"hello", "subscribe", "unsubscribe"},
    "service": _COMMON,
    "room": set(),
}
_LIMITS: Final = {"message_id": (1, MAX_ID), "seq": (0, MAX_ID), "before_seq": (0, MAX_ID), "after_seq": (0, MAX_ID)}


class Dialects:
    """Every dialect reads each payload, as text and as binary."""

    name = "dialects"
    cpu_s = 3.0

    def __init__(self) -> None:
        self._dialects: Sequence[Dialect] = (
            ChatDialect(MAX_TEXT),
            NativeDialect(MAX_TEXT),
            TracedDialect(NativeDialect(MAX_TEXT)),
            PublicDialect(MAX_TEXT),
            ServiceDialect(MAX_TEXT),
            ServiceDialect(MAX_TEXT, resumes=True),
            RoomDialect("a room"),
        )

    def case(self, random: Random) -> Case:
        """One message."""
        return (nearly_json(random)[:MAX_FRAME_BYTES],)

    async def check(self, case: Case) -> None:
        """No exception, a command only for JSON that says so, and only documented errors."""
        payload = b"".join(case)
        if not _is_utf8(payload):
            payload = (
                payload[: MAX_FRAME_BYTES // 3].decode("utf-8", "replace").encode()
            )  # the transport delivers no other text
        try:
            value = json_reading.read(payload)
        except json_reading.NotJson:
            value = None
        for dialect in self._dialects:
            _check_binary(dialect, payload)
            read = _timed(dialect, payload)
            if isinstance(read, ErrorReply):
                _check_error(dialect, read, value)
            else:
                _check_request(dialect, read, value, payload)


def _timed(dialect: Dialect, payload: bytes) -> Request | ErrorReply:
    seconds = []
    for _ in range(3):
        started = time.thread_time()
        read = dialect.decode(payload, is_text=True)
        seconds.append(time.thread_time() - started)
        if seconds[-1] < READ_S:
            return read
    raise AssertionError(f"{dialect.name} takes {min(seconds):.2f} s to read {len(payload)} bytes")


def _check_binary(dialect: Dialect, payload: bytes) -> None:
    read = dialect.decode(payload, is_text=False)
    assert isinstance(read, ErrorReply), f"{dialect.name} reads a command from a binary message"


def _check_error(dialect: Dialect, error: ErrorReply, value: Any) -> None:
    assert error.code in _OF_COMMANDS, error
    sent = dialect.reply(error, None)
    most = MAX_ERROR_BYTES + len(str(error.ref).encode()) * 2  # the client's own id, escaped
    assert sent is None or len(sent) <= most, f"an error of {len(sent or b'')} bytes"
    if sent is not None:
        json_reading.read(sent)
    if not isinstance(value, dict) or not json_reading.is_plain(value) or json_reading.depth(value) > MAX_DEPTH:
        return
    assert error.code is not ErrorCode.INVALID_JSON, f"{dialect.name} does not read this object"
    kind = value.get("type")
    is_known = isinstance(kind, str) and kind in _TYPES[dialect.name]
    if is_known:
        assert error.code is not ErrorCode.UNKNOWN_TYPE, (dialect.name, error)
    else:  # native checks the client's id first
        assert error.code in (ErrorCode.UNKNOWN_TYPE, ErrorCode.INVALID_FIELD), (dialect.name, error)


def _check_request(dialect: Dialect, request: Request, value: Any, payload: bytes) -> None:
    if dialect.name == "public" and getattr(request.command, "text", None) == payload.decode():
        return  # a message of plain text; what is an object is checked for the chat dialect, which it extends
    assert isinstance(value, dict), f"{dialect.name} reads a command from what is no JSON object"
    assert json_reading.depth(value) <= MAX_DEPTH, f"{dialect.name} reads JSON of {json_reading.depth(value)} levels"
    assert request.name == value["type"] and request.name in _TYPES[dialect.name], request.name
    if request.chat_id is not None:
        assert request.chat_id == value["chat_id"] and 0 < request.chat_id <= MAX_ID, request.chat_id
    command = request.command
    for name in type(command).__match_args__:
        _check_field(name, getattr(command, name), value)


def _check_field(name: str, content: Any, value: dict[str, Any]) -> None:
    if name in _LIMITS and content is not None:
        least, most = _LIMITS[name]
        assert type(content) is int and least <= content <= most, (name, content)
    elif name == "limit":
        assert type(content) is int and 1 <= content <= 200, content
    elif name == "text":
        assert content in (value.get("text"), value.get("content")), content
        assert 1 <= len(content) <= MAX_TEXT and content.strip() and "\0" not in content, content
        content.encode()
    elif name == "client_msg_id" and content is not None:
        assert 1 <= len(content) <= 64 and "\0" not in content, content
        content.encode()


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


@asynccontextmanager
async def open_dialects() -> AsyncIterator[Dialects]:
    """The target."""
    yield Dialects()
