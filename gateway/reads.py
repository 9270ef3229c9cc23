"""The quick way in: a read that is nothing but whole, unfragmented messages needs no parser.

Nearly every read of a chat is one such frame. What it saves: docs/transport.md. Pure: it knows no socket.

Keeps: whatever else a read brings (control frames, fragments, parts of frames, what breaks a rule) is left to the
parser whole and in order; after that, the parser has everything until a frame ends where a read ends. But the parser
takes any length, so that those which are not written in the fewest bytes (RFC 6455 §5.2) are found here.
"""

from typing import Final

from websockets.frames import apply_mask  # type: ignore[attr-defined]  # in C, where that is built

from gateway.fragments import BadMessage

NOT_MINIMAL: Final = BadMessage(1002, "length not minimal")
TEXT_HEAD: Final = 0x81
BINARY_HEAD: Final = 0x82
PONG_HEAD: Final = 0x8A
_MASKED: Final = 0x80
_UNKNOWN: Final = -1
_BAD: Final = -2


class Reads:
    """The reads of one socket, from its first frame on. Messages over `max_bytes` are left to the parser."""

    __slots__ = ("_head", "_max_bytes", "_owed", "bad_at")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.bad_at: int | None = None
        """Where in the last read a frame that is NOT_MINIMAL begins: what is before it is the parser's."""
        self._owed = 0
        """Bytes to come of a frame that the parser has begun."""
        self._head = b""
        """The beginning of a frame's head, of which the parser has as much."""

    def messages(self, data: bytes) -> list[tuple[bytes, bool]] | None:
        """Each message with whether it is a text (not yet known to be UTF-8); None if the parser is to have `data`."""
        if self._owed or self._head:
            self._follow(data, self._owed)
            return None
        found: list[tuple[bytes, bool]] = []
        at, end = 0, len(data)
        while at < end:
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
            found.append((apply_mask(data[start:stop], data[start - 4 : start]), head == TEXT_HEAD))
            at = stop
        else:
            return found
        self._follow(data, at)
        return None

    def _follow(self, data: bytes, at: int) -> None:
        """Find out whether `data`, of which a frame begins at `at`, ends where a frame ends."""
        begun = len(self._head)
        if begun:
            data, self._head = self._head + data, b""
        while at < len(data):
            size = _frame_size(data, at)
            if size == _BAD:
                self.bad_at = max(at - begun, 0)
                return
            if size == _UNKNOWN:
                self._head, at = data[at:], len(data)
            else:
                at += size
        self._owed = at - len(data)


def short_pong(data: bytes) -> bytes | None:
    """The payload of a read that is one pong of four bytes, as answers to our pings are; else None."""
    if len(data) != 10 or data[0] != PONG_HEAD or data[1] != _MASKED | 4:
        return None
    return apply_mask(data[6:], data[2:6])


def _frame_size(data: bytes, at: int) -> int:
    """Of the frame that begins there, with its head (RFC 6455 §5.2).

    _UNKNOWN if not enough of that is there; _BAD if it is NOT_MINIMAL.
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
