"""Makes pamqp skip message properties that it cannot decode, so that one message cannot break every connection.

RabbitMQ passes on properties that it does not inspect. If pamqp cannot decode one (a timestamp in microseconds, a name
in Latin-1), aiormq closes the connection and the message returns to the queue, endlessly. The gateway does not need
these properties, so undecodable ones are dropped.
"""

from collections.abc import Callable
from typing import Any

from pamqp import decode
from pamqp.common import Struct

_Reader = Callable[[bytes], tuple[int, Any]]


def be_tolerant() -> None:
    """Replace pamqp's decoders by ones that never reject a property."""
    readers: dict[str, Any] = decode.METHODS
    readers["shortstr"] = _short_text
    readers["timestamp"] = _or_nothing(decode.timestamp, lambda raw: 8)
    readers["table"] = _or_nothing(decode.field_table, lambda raw: 4 + int(Struct.integer.unpack(raw[:4])[0]))


def _short_text(raw: bytes) -> tuple[int, str]:
    length = raw[0]
    # invalid bytes are dropped, not replaced: the text must not grow beyond 255 bytes, the limit in a dead letter
    return length + 1, raw[1 : length + 1].decode(errors="ignore")


def _or_nothing(read: _Reader, size: Callable[[bytes], int]) -> _Reader:
    def read_or_skip(raw: bytes) -> tuple[int, Any]:
        try:
            return read(raw)
        except (ValueError, OverflowError, ArithmeticError, LookupError, RecursionError):
            return size(raw), None

    return read_or_skip
