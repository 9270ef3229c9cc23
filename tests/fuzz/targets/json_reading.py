"""Reads JSON with Python's own parser, which shares no code with ours: what a text means, and how deep it is."""

import json
import math
from typing import Any, NoReturn


class NotJson(Exception):
    """The text is no JSON."""


def read(payload: bytes) -> Any:
    """The value.

    Raises: NotJson.
    """
    try:
        return json.loads(payload.decode(), parse_constant=_reject, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        raise NotJson from None


def _reject(name: str) -> NoReturn:
    raise ValueError(name)


def depth(value: Any) -> int:
    """The levels of arrays and objects, including the outermost."""
    match value:
        case dict():
            return 1 + max(map(depth, value.values()), default=0)
        case list():
            return 1 + max(map(depth, value), default=0)
    return 0


class Repeated(dict[str, Any]):
    """An object with equal keys: what the last does not replace is hidden."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    return read if len(read) == len(pairs) else Repeated(read)


def is_plain(value: Any) -> bool:
    """Whether every JSON parser reads it alike: no equal keys, no lone surrogates, no numbers beyond 64 bits or a
    double."""
    match value:
        case Repeated():
            return False
        case dict():
            return all(is_plain(key) and is_plain(one) for key, one in value.items())
        case list():
            return all(map(is_plain, value))
        case str():
            return not any(0xD800 <= ord(character) < 0xE000 for character in value)
        case bool():
            return True
        case int():
            return -(2**63) <= value < 2**64
        case float():
            return math.isfinite(value)
    return True
