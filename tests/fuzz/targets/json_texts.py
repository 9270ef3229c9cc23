"""Generates JSON: values of every kind, commands with right and wrong fields, and texts that are nearly JSON."""

import json
from random import Random
from typing import Any, Final

from tests.fuzz.byte_mutations import mutated

_STRINGS: Final = ("", " ", "x", "hello", "κόσμε", "🌍", "\x00", "\u200b", "\u202e", "\ufeff", "x" * 1000, "x" * 1001)
_NUMBERS: Final = (0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30, 0.5, 1.0, 1e308, 5e-324)
_RAW: Final = ("NaN", "-Infinity", "1e999", "-0", "01", "1.", "9" * 400, '"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"')
"""Values as text: not every one is JSON."""
_PLACE: Final = "\ue000raw"
_TYPES: Final = (
    "message",
    "edit_message",
    "delete_message",
    "react",
    "typing",
    "read_messages",
    "history",
    "presence",
    "ping",
    "refresh",
    "hello",
    "subscribe",
    "unsubscribe",
)
_FIELDS: Final[dict[str, tuple[Any, ...]]] = {
    "id": (1, 7, "a", 2**63 - 1),
    "chat_id": (1, 2**63 - 1),
    "message_id": (1, 5),
    "text": ("hello", "x" * 1000),
    "content": ("hello", "x"),
    "traceparent": (f"00-{'1' * 32}-{'2' * 16}-01", f"00-{'0' * 32}-{'0' * 16}-01", "00", 7),
    "client_msg_id": ("a", "x" * 64, "x" * 65),
    "key": ("👍", "x" * 32, "x" * 33, "\x7f"),
    "remove": (True, False, None),
    "is_typing": (True, False),
    "seq": (0, 1, None),
    "before_seq": (0, 10),
    "after_seq": (0, 10),
    "limit": (1, 200, 201),
    "token": ("x", "x" * 8192, "x" * 8193),
    "message": ("hello",),
    "refresh": (True,),
    "since": (0, 5, "5", "epoch:5", ":", "a:b"),
}


def value(random: Random, depth: int = 0) -> Any:
    """Any value, of a few levels."""
    match random.randrange(10 if depth < 4 else 6):
        case 0 | 1:
            return random.choice(_STRINGS)
        case 2 | 3:
            return random.choice(_NUMBERS)
        case 4:
            return random.choice((True, False, None))
        case 5:
            return _PLACE
        case 6 | 7:
            return [value(random, depth + 1) for _ in range(random.randrange(4))]
        case _:
            return {random.choice((*_STRINGS[:6], *_FIELDS)): value(random, depth + 1) for _ in range(3)}


def text_of(random: Random, content: Any) -> bytes:
    """`content` in one of its spellings."""
    separators = random.choice(((",", ":"), (", ", ": "), (" , ", "\n:\t")))
    text = json.dumps(content, ensure_ascii=random.random() < 0.3, separators=separators)
    for spelling in (json.dumps(_PLACE), json.dumps(_PLACE, ensure_ascii=False)):
        while spelling in text:
            text = text.replace(spelling, random.choice(_RAW), 1)
    return text.encode()


def command(random: Random) -> bytes:
    """A command with most fields right."""
    fields = {"type": random.choice(_TYPES)}
    for name, right in _FIELDS.items():
        if random.random() < 0.45:
            fields[name] = random.choice(right) if random.random() < 0.85 else value(random)
    if random.random() < 0.05:
        fields["type"] = value(random)
    if random.random() < 0.05:
        fields[random.choice(_STRINGS)] = value(random)
    names = list(fields)
    random.shuffle(names)
    return text_of(random, {name: fields[name] for name in names})


def deep(random: Random) -> bytes:
    """Nested beyond every limit, or just at it."""
    levels = random.choice((29, 30, 31, 32, 33, 100, 1023, 1025, 30_000))
    opening, closing = random.choice(((b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")))
    inner = opening * levels + b"1" + closing * levels
    if random.random() < 0.3:
        inner = inner[: random.randrange(len(inner))]
    return b'{"type":' + random.choice((b'"ping","x":', b"")) + inner + b"}"


def long(random: Random) -> bytes:
    """As large as a frame may be, of one repeated thing."""
    unit = random.choice((b"[", b'"', b"\\", b'\\"', b"\\ud800", b'{"a":', b",", b"\xff", b"\\u0000", b'"":0,'))
    size = random.choice((5_000, 65_000))
    return random.choice((b'{"type":"', b'{"type":', b'{"text":"', b"", b"{")) + unit * (size // len(unit))


def nearly_json(random: Random) -> bytes:
    """A command, any value, or one of them after mutations."""
    kind = random.randrange(100)
    if kind < 3:
        return long(random)
    if kind < 8:
        return deep(random)
    text = text_of(random, value(random)) if kind < 15 else command(random)
    return mutated(random, text, (b'{"type":"ping"}', b'"text":"\\ud83d"', b"[[[[")) if kind > 55 else text
