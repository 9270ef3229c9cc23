"""Generates what a WebSocket client may send, and what it must not."""

from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import Final

from tests.fuzz.byte_mutations import cut, mutated
from tests.fuzz.case import Case
from tests.gateway.transport.utf8_samples import BAD, GOOD
from tests.gateway.transport.wire import BINARY, CLOSE, CONT, PING, PONG, TEXT, close, frame

_SIZES: Final = (0, 1, 2, 3, 4, 5, 10, 124, 125, 126, 127, 128, 300, 2047, 2048, 2049)
_LARGE: Final = (8192, 8193, 65_535, 65_536, 65_537, 70_000)
_CODES: Final = (0, 999, 1000, 1001, 1003, 1004, 1005, 1006, 1007, 1011, 1014, 1015, 1016, 2999, 3000, 4429, 4999, 5000)
_BAD_TEXTS: Final = tuple(BAD.values())
SEEDS: Final = (
    frame(TEXT, b"hello"),
    frame(BINARY, b"\0\xff" * 70),
    frame(TEXT, b"he", fin=False) + frame(PING, b"p") + frame(CONT, b"llo"),
    frame(PING),
    frame(PONG, b"1234"),
    close(1000, b"bye"),
    frame(TEXT, b"x" * 200),
)
"""Valid, for mutations."""


def reads(random: Random) -> Case:
    """What one socket receives, in the pieces in which it is read."""
    units = [_unit(random) for _ in range(random.choice((1, 2, 3, 5, 12)))]
    data = b"".join(units)
    if random.random() < 0.3:
        data = mutated(random, data, SEEDS)
    if random.random() < 0.3:
        return _cut_near(random, units, data)
    return cut(random, data)


def _cut_near(random: Random, units: Sequence[bytes], data: bytes) -> Case:
    """Cut within the first bytes of frames, where headers are."""
    offsets, at = {0, len(data)}, 0
    for unit in units:
        offsets.add(min(len(data), at + random.randrange(12)))
        at += len(unit)
    ends = sorted(offsets)
    return tuple(data[begin:end] for begin, end in pairwise(ends) if begin < end)


def _unit(random: Random) -> bytes:
    kind = random.randrange(100)
    if kind < 35:
        opcode = random.choice((TEXT, TEXT, BINARY))
        return frame(opcode, _payload(random, opcode == TEXT), mask=random.randbytes(4))
    if kind < 55:
        return _message_in_fragments(random)
    if kind < 70:
        return frame(random.choice((PING, PING, PONG)), random.randbytes(random.choice((0, 1, 4, 125))))
    if kind < 75:
        return _close(random)
    if kind < 77:
        return frame(PING) * random.randrange(1, 60)
    return _broken(random)


def _payload(random: Random, is_text: bool) -> bytes:
    kind = random.randrange(20)
    if is_text and kind < 6:
        return b"".join(random.choice(GOOD) for _ in range(random.randrange(1, 8)))
    if is_text and kind < 8:
        return random.choice(GOOD) + random.choice(_BAD_TEXTS) + random.choice((b"", b"after"))
    size = random.choice(_LARGE if random.random() < 0.02 else _SIZES)
    if is_text or kind < 10:
        return (random.randbytes(4).hex().encode() * (size // 8 + 1))[:size]
    return random.randbytes(size)


def _message_in_fragments(random: Random) -> bytes:
    """A message cut anywhere, also within a character, with control frames in between."""
    is_text = random.random() < 0.8
    payload = _payload(random, is_text)
    pieces = list(cut(random, payload[:3000])) or [b""]
    if random.random() < 0.01:
        pieces = [b""] * random.choice((1022, 1023, 1024, 1100)) + pieces
    if random.random() < 0.05:
        pieces.insert(random.randrange(len(pieces) + 1), b"y" * random.choice(_LARGE))
    ends_early = random.random() < 0.1
    parts = []
    for number, piece in enumerate(pieces):
        opcode = CONT if number else (TEXT if is_text else BINARY)
        is_last = number == len(pieces) - 1
        parts.append(frame(opcode, piece, fin=is_last and not ends_early))
        if random.random() < 0.05:
            parts.append(random.choice((frame(PING, b"in between"), frame(PONG), frame(PING))))
    return b"".join(parts)


def _close(random: Random) -> bytes:
    reason = random.choice((b"", b"bye", b"x" * 123, "κόσμε".encode(), random.choice(_BAD_TEXTS)))
    if random.random() < 0.2:
        return frame(CLOSE, random.randbytes(random.randrange(3)))
    return close(random.choice(_CODES), reason)


def _broken(random: Random) -> bytes:
    """A frame with one thing wrong, or two."""
    opcode, payload = random.choice((CONT, TEXT, BINARY, CLOSE, PING, PONG)), random.randbytes(random.choice(_SIZES))
    options: dict[str, object] = {}
    for _ in range(random.choice((1, 1, 1, 2))):
        match random.randrange(7):
            case 0:
                options["rsv"] = random.randrange(1, 8)
            case 1:
                opcode = random.choice((3, 4, 7, 11, 12, 15))
            case 2:
                options["mask"] = None
            case 3:
                options["fin"] = False
            case 4:
                options["size_bytes"] = 2 if len(payload) < 126 else 8
            case 5:
                options |= {"size": random.choice((65_537, 1 << 31, 1 << 32, 1 << 62, 1 << 63, (1 << 64) - 1))}
                options["size_bytes"] = 8
            case 6:
                payload = payload[: random.randrange(len(payload) + 1)]
                options |= {"size": len(payload) + random.choice((1, 5, 200)), "size_bytes": 2}
    return frame(opcode, payload, **options)  # type: ignore[arg-type]
