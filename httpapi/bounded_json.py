"""The one reader of JSON that others wrote (commands, bodies, tokens, key sets, queued messages, publications), and the
writer of ours: times are UTC in whole seconds with the suffix `Z`.

A parser reads a thousand levels of nesting, and what walks the value afterwards fails on them: encoders, `repr`, other
parsers. Nothing here needs more than a few, so a value has at most MAX_DEPTH.
"""

import re
from typing import Any, Final, TypeVar

import msgspec
import orjson

from httpapi.errors import InvalidJson, TooDeep

MAX_DEPTH: Final = 32
"""The maximum nesting of arrays and objects, including the outermost."""

_ARRAY, _OBJECT = ord("["), ord("{")
_AS_ARRAYS: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")

_PAIR: Final = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")

_OPTIONS: Final = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS

T = TypeVar("T")


def read_json(payload: bytes) -> Any:
    """The value: UTF-8 without lone surrogates, numbers within a double, no NaN. Of equal keys the last counts.

    An integer beyond 64 bits is read as a float.

    Raises: InvalidJson, TooDeep.
    """
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        if error.msg.startswith("depth limit exceeded"):
            raise TooDeep from None
        raise InvalidJson(error.msg) from None
    if _may_be_too_deep(payload) and is_deeper(payload, MAX_DEPTH):
        raise TooDeep
    return value


def read_shape(payload: bytes, shape: type[T]) -> T:
    """The value as `shape` (a msgspec Struct).

    Raises: InvalidJson, TooDeep, msgspec.ValidationError (JSON of another shape).
    """
    read_json(payload)
    return msgspec.json.decode(payload, type=shape)


def has_lone_surrogate(payload: bytes) -> bool:
    """Whether an escaped lone surrogate, which orjson rejects and json accepts, is the only error in a JSON object."""
    if b"\\ud" not in payload and b"\\uD" not in payload:
        return False
    unpaired = _PAIR.sub(b"_", payload.replace(b"\\\\", b"_"))
    if _SURROGATE.search(unpaired) is None:
        return False
    try:
        return isinstance(read_json(_SURROGATE.sub(b"_", unpaired)), dict)
    except InvalidJson:
        return False


def _may_be_too_deep(payload: bytes) -> bool:
    """From its bytes alone, in some 60 ns where nothing is nested, as in most commands."""
    has_nested = _ARRAY in payload or payload.find(_OBJECT, 1) > 0
    return has_nested and payload.count(_ARRAY) + payload.count(_OBJECT) > MAX_DEPTH


def is_deeper(payload: bytes, levels: int) -> bool:
    """Whether valid JSON nests arrays and objects more than `levels` deep, the outermost included.

    Of its brackets outside strings, each round removes the innermost level.
    """
    outside = b"".join(payload.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    brackets = outside.translate(_AS_ARRAYS, _NO_BRACKETS)
    for _ in range(levels):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


def to_json(value: object) -> bytes:
    """`value` (dicts, lists, strings, numbers, aware datetimes) as UTF-8 JSON."""
    return orjson.dumps(value, option=_OPTIONS)


def to_json_of_client(value: object) -> bytes | None:
    """The same of a parsed JSON value that a client sent; None if it has an integer beyond 64 bits."""
    try:
        return to_json(value)
    except orjson.JSONEncodeError:
        return None
