"""One message must not break the connection: not its own, and not that of every node which gets it after that.

RabbitMQ passes on properties that it does not look at. Where pamqp cannot read one (a timestamp in microseconds, a
name in Latin-1), aiormq ends the connection, the message goes back to the queue, and so on for ever. Nothing here needs
these properties, so what cannot be read is left out.
"""

from collections.abc import Callable
from typing import Any

from pamqp import decode
from pamqp.common import Struct

_Reader = Callable[[bytes], tuple[int, Any]]


def be_tolerant() -> None:
    """Give pamqp readers that never refuse a property."""
    readers: dict[str, Any] = decode.METHODS
    readers["shortstr"] = _short_text
    readers["timestamp"] = _or_nothing(decode.timestamp, lambda raw: 8)
    readers["table"] = _or_nothing(decode.field_table, lambda raw: 4 + int(Struct.integer.unpack(raw[:4])[0]))


def _short_text(raw: bytes) -> tuple[int, str]:
    length = raw[0]
    # left out, not replaced: it must not grow beyond the 255 bytes that the same property may have in a dead letter
    return length + 1, raw[1 : length + 1].decode(errors="ignore")


def _or_nothing(read: _Reader, size: Callable[[bytes], int]) -> _Reader:
    def read_or_skip(raw: bytes) -> tuple[int, Any]:
        try:
            return read(raw)
        except (ValueError, OverflowError, ArithmeticError, LookupError):
            return size(raw), None

    return read_or_skip
