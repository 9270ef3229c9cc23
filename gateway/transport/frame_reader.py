"""The fast path of input: a read that consists of whole, unfragmented messages bypasses websockets' parser.

Nearly every read in a chat is one such frame. docs/transport.md has the savings. Has no socket.

Keeps: any other read (with control frames, fragments, partial frames or protocol errors) goes to the parser whole and
in order; from then on the parser gets everything until a frame ends exactly where a read ends. The parser accepts any
encoding of a length, so lengths that are not encoded in the fewest bytes (RFC 6455 §5.2) are detected here.
"""

from typing import Final

from websockets.frames import apply_mask  # type: ignore[attr-defined]  # in C, where that is built

from gateway.interfaces.connection import DECODED_BYTES_PER_COST
from gateway.transport.fragments import BadMessage

NOT_MINIMAL: Final = BadMessage(1002, "length not minimal")
TEXT_HEAD: Final = 0x81
BINARY_HEAD: Final = 0x82
PONG_HEAD: Final = 0x8A
_MASKED: Final = 0x80
PORTION: Final = 16
"""The cost of the input that is handled at once: 1 a frame, and 1 for each `bytes_per_cost`. That is some 0.2 ms of
work, for JSON of many small objects more."""
_UNKNOWN: Final = -1
_BAD: Final = -2


class FrameReader:
    """Splits the reads of one socket into messages. Messages over `max_bytes` are left to the parser."""

    __slots__ = ("_head", "_max_bytes", "_missing", "bad_at", "bytes_per_cost", "cost", "end")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.bytes_per_cost = DECODED_BYTES_PER_COST
        """How many bytes cost as much as one more frame."""
        self.bad_at: int | None = None
        """The offset in the last read of a NOT_MINIMAL frame; the portion ends there."""
        self._missing = 0
        """How many bytes of a frame are still to come whose beginning the parser has."""
        self._head = b""
        """An incomplete frame header, which the parser has too."""
        self.end = 0
        """The offset at which the portion ends that `messages` returned or left to the parser: a frame's or the read's
        end."""
        self.cost = 0
        """The cost of that portion, at least 1."""

    def messages(self, data: bytes, at: int = 0) -> list[tuple[bytes, bool]] | None:
        """The messages of the portion that begins at `at`, each with whether it is text (not yet checked as UTF-8).

        None if the portion is for the parser.
        """
        if self._missing or self._head:
            self._follow(data, at)
            return None
        messages: list[tuple[bytes, bool]] = []
        begin, end, left = at, len(data), PORTION
        while at < end and left > 0:
            head = data[at]
            if end - at < 6 or (head != TEXT_HEAD and head != BINARY_HEAD):
                break
            size, start = data[at + 1] - _MASKED, at + 6
            if size == 126 and end - at >= 8:
                size, start = int.from_bytes(data[at + 2 : at + 4]), at + 8
                if size < 126:
                    break
            elif not 0 <= size < 126:
                break
            stop = start + size
            if stop > end or size > self._max_bytes:
                break
            messages.append((apply_mask(data[start:stop], data[start - 4 : start]), head == TEXT_HEAD))
            at = stop
            left -= 1 + size // self.bytes_per_cost
        else:
            self.end, self.cost = at, PORTION - left
            return messages
        self._follow(data, begin)
        return None

    def _follow(self, data: bytes, begin: int) -> None:
        """Set `end` and `cost` of a portion that is for the parser, and note whether a frame ends where `data` does."""
        begun = len(self._head)
        if begun:
            data, self._head = self._head + data, b""
        at, frames = begin + self._missing, 0
        while at < len(data) and frames + (at - begin) // self.bytes_per_cost < PORTION:
            size = _frame_size(data, at)
            if size == _BAD:
                self.bad_at = max(at - begun, 0)
                break
            if size == _UNKNOWN:
                self._head, at = data[at:], len(data)
            else:
                at += size
            frames += 1
        self._missing = max(0, at - len(data))
        self.end = max(min(at, len(data)) - begun, begin)
        self.cost = max(1, frames + (self.end - begin) // self.bytes_per_cost)


def short_pong(data: bytes) -> bytes | None:
    """The payload of a read that is exactly one four-byte pong, like the pongs for our pings; else None."""
    if len(data) != 10 or data[0] != PONG_HEAD or data[1] != _MASKED | 4:
        return None
    return apply_mask(data[6:], data[2:6])


def _frame_size(data: bytes, at: int) -> int:
    """The size of the frame at this offset, header included (RFC 6455 §5.2).

    _UNKNOWN if its header is incomplete; _BAD if its length is NOT_MINIMAL.
    """
    if len(data) - at < 2:
        return _UNKNOWN
    size, head = data[at + 1] & 0x7F, 6 if data[at + 1] & _MASKED else 2
    if size >= 126:
        wide, least = (2, 126) if size == 126 else (8, 65536)
        if len(data) - at < 2 + wide:
            return _UNKNOWN
        size, head = int.from_bytes(data[at + 2 : at + 2 + wide]), head + wide
        if size < least:
            return _BAD
    return head + size
