"""The document allows a command exactly if the dialect accepts it."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from gateway.dialects.base import Dialect, Request
from gateway.dialects.chat import ChatDialect
from gateway.dialects.native import NativeDialect
from gateway.dialects.public import PublicDialect
from gateway.dialects.service import ServiceDialect
from tests.support.documented import DOCUMENT, is_documented, messages_of

DIALECTS: dict[str, Dialect] = {
    "native": NativeDialect(),
    "chat": ChatDialect(),
    "public": PublicDialect(),
    "service": ServiceDialect(),
    "support": ServiceDialect(),
}
ODD = (
    *(None, True, False, 0, 1, -1, 200, 201, 2**63 - 1, 2**63, 2**64 - 1, 0.5, [], {}),
    {"a": [1.5, {"b": None}]},
    *([1, 2], [1] * 51, [0], ["1"]),
    *("", " ", "a", "\n\u00a0", "a\0", "x" * 64, "x" * 65, "я" * 1000, "👋" * 1001),
)


def odd_commands(channel: str) -> Iterator[Any]:
    """The document's own examples; each without one of its keys, with something odd in its place, and with one more."""
    for message in messages_of(channel, "receive").values():
        for example in (shown["payload"] for shown in message["examples"]):
            yield example
            if isinstance(example, dict):
                yield example | {"tittle": 1}
                for key in example:
                    yield {name: value for name, value in example.items() if name != key}
                for key in DOCUMENT["components"]["schemas"][message["name"]]["properties"]:
                    yield from (example | {key: odd} for odd in ODD)


@pytest.mark.parametrize("channel", DIALECTS)
def test_exactly_documented_commands_are_accepted(channel: str) -> None:
    seen = {True: 0, False: 0}
    for command in odd_commands(channel):
        payload = command.encode() if isinstance(command, str) else orjson.dumps(command)
        is_read = isinstance(DIALECTS[channel].decode(payload, is_text=True), Request)
        assert is_documented(channel, "receive", command, with_more_keys=True) == is_read, command
        seen[is_read] += 1
    assert min(seen.values()) > 15, seen


def test_text_length_limit_follows_setting() -> None:
    for name in ("MessageCommand", "EditMessageCommand", "NativeMessageCommand", "NativeEditMessageCommand"):
        assert DOCUMENT["components"]["schemas"][name]["properties"]["text"]["maxLength"] == 1000
    assert DOCUMENT["components"]["schemas"]["ServiceMessageCommand"]["properties"]["content"]["maxLength"] == 1000
    assert DOCUMENT["components"]["messages"]["PlainText"]["payload"]["maxLength"] == 1000
