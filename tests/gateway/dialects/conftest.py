"""Checks everything that a dialect reads and writes in these tests against the AsyncAPI document."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from gateway.dialects.base import Request
from gateway.dialects.chat import ChatDialect
from gateway.dialects.native import NativeDialect
from gateway.dialects.public import PublicDialect
from gateway.dialects.room import RoomDialect
from gateway.dialects.service import ServiceDialect
from gateway.protocol.codes import ErrorCode
from tests.support.documented import is_documented

DIALECTS = {
    "native": NativeDialect,
    "chat": ChatDialect,
    "service": ServiceDialect,
    "room": RoomDialect,
    "public": PublicDialect,
}


@pytest.fixture(autouse=True)
def documented(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that is read is in the document, and one that is refused is not; nor is anything else written."""
    for channel, dialect in DIALECTS.items():
        monkeypatch.setattr(dialect, "decode", _reading(channel, dialect.decode))
        for name in ("push", "reply"):
            monkeypatch.setattr(dialect, name, _writing(channel, getattr(dialect, name)))


def _writing(channel: str, write: Callable[..., bytes | None]) -> Callable[..., bytes | None]:
    def checked(self: object, *words: object) -> bytes | None:
        payload = write(self, *words)
        assert payload is None or is_documented(channel, "send", orjson.loads(payload)), payload
        return payload

    return checked


def _reading(channel: str, read: Callable[..., Any]) -> Callable[..., Any]:
    def checked(self: object, payload: bytes, is_text: bool) -> Any:
        answer = read(self, payload, is_text)
        try:
            value = orjson.loads(payload)
        except orjson.JSONDecodeError:
            value = payload.decode()
        if isinstance(answer, Request):
            assert _is_asked(channel, value, with_more_keys=True), payload
        elif is_text and not _is_beyond_schemas(payload, value) and answer.code is not ErrorCode.TEXT_TOO_LONG:
            assert not _is_asked(channel, value), payload
        return answer

    return checked


def _is_asked(channel: str, value: Any, *, with_more_keys: bool = False) -> bool:
    # To the public channel all that is no object is the text that it was.
    text = value if isinstance(value, dict | str) else orjson.dumps(value).decode()
    shown = text if channel == "public" else value
    return is_documented(channel, "receive", shown, with_more_keys=with_more_keys)


def _is_beyond_schemas(payload: bytes, value: Any) -> bool:
    """1.0 is an integer to JSON Schema, and not to us; no schema can tell half a surrogate pair."""
    has_float = isinstance(value, dict) and any(isinstance(part, float) for part in value.values())
    return has_float or b"\\ud" in payload.lower()
