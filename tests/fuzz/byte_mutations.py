"""Mutations of bytes that know nothing of their format."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random
from typing import Final

ODD_BYTES: Final = b"\x00\x01\x09\x0a\x0d\x20\x22\x2c\x3a\x5b\x5c\x7b\x7d\x7e\x7f\x80\xc0\xed\xf4\xff"
MAX_BYTES: Final = 200_000


def mutated(random: Random, data: bytes, others: Sequence[bytes] = (b"",)) -> bytes:
    """`data` after one to four mutations; some insert a part of one of `others`."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        data = random.choice(_MUTATIONS)(random, data, random.choice(others))[:MAX_BYTES]
    return data


def cut(random: Random, data: bytes) -> tuple[bytes, ...]:
    """`data` in pieces without empty ones: whole, byte by byte, or at random offsets."""
    match random.randrange(4):
        case 0:
            offsets: Sequence[int] = ()
        case 1 if len(data) <= 400:
            offsets = range(1, len(data))
        case _:
            offsets = sorted({random.randrange(len(data) + 1) for _ in range(random.randrange(1, 6))})
    ends = [0, *offsets, len(data)]
    return tuple(data[begin:end] for begin, end in pairwise(ends) if begin < end)


def _flip(random: Random, data: bytes, _: bytes) -> bytes:
    if not data:
        return data
    at = random.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]


def _set(random: Random, data: bytes, _: bytes) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + bytes([random.choice(ODD_BYTES)]) + data[at + 1 :]


def _insert(random: Random, data: bytes, _: bytes) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + bytes([random.choice(ODD_BYTES)]) * random.choice((1, 1, 2, 40)) + data[at:]


def _remove(random: Random, data: bytes, _: bytes) -> bytes:
    begin, end = _part(random, data)
    return data[:begin] + data[end:]


def _repeat(random: Random, data: bytes, _: bytes) -> bytes:
    begin, end = _part(random, data)
    return data[:end] + data[begin:end] * random.choice((1, 1, 3, 50)) + data[end:]


def _swap(random: Random, data: bytes, _: bytes) -> bytes:
    begin, end = _part(random, data)
    return data[end:] + data[begin:end] + data[:begin]


def _truncate(random: Random, data: bytes, _: bytes) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _splice(random: Random, data: bytes, other: bytes) -> bytes:
    begin, end = _part(random, other)
    at = random.randrange(len(data) + 1)
    return data[:at] + other[begin:end] + data[at:]


def _part(random: Random, data: bytes) -> tuple[int, int]:
    begin = random.randrange(len(data) + 1)
    return begin, min(len(data), begin + random.choice((1, 1, 2, 4, 16, 256)))


_MUTATIONS: Final[Sequence[Callable[[Random, bytes, bytes], bytes]]] = (
    _flip,
    _flip,
    _set,
    _insert,
    _remove,
    _repeat,
    _swap,
    _truncate,
    _splice,
)
