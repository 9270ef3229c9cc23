"""The `data` of a message: a JSON object of the application, which the gateway keeps and passes on as it is."""

from typing import Final

import orjson

from httpapi.bounded_json import is_deeper

MAX_DATA_BYTES: Final = 4096
"""Of its JSON without whitespace, in UTF-8."""
MAX_DATA_DEPTH: Final = 8
"""Levels of arrays and objects, the object itself included."""
EXPECTED_DATA: Final = f"a JSON object of at most {MAX_DATA_BYTES} bytes and {MAX_DATA_DEPTH} levels"


def data_text(value: object) -> str | None:
    """The JSON of `value` (a parsed JSON value) without whitespace, keys in their order; None if it is no valid `data`.

    Strings keep every character: JSON escapes NUL, which PostgreSQL could not store.
    """
    if not isinstance(value, dict):
        return None
    try:
        payload = orjson.dumps(value)
    except orjson.JSONEncodeError:  # an integer beyond 64 bits, or a parser's nesting
        return None
    if len(payload) > MAX_DATA_BYTES or is_deeper(payload, MAX_DATA_DEPTH):
        return None
    return payload.decode()
