"""RFC 6455 from the server's side, as simply as it can be said: what must come of the bytes that a client sends.

It parses the whole input at once, so that it cannot depend on where reads end.
"""

import codecs
from collections.abc import Set
from dataclasses import dataclass, field, replace
from typing import Final

from tests.gateway.transport.wire import BINARY, CLOSE, CONT, PING, PONG, TEXT

OPEN: Final = 0
"""In place of a close code: no CLOSE is sent, since the input ends within a frame or after a valid one."""
NO_CODE: Final = 1005
"""A CLOSE without a code."""
_PROTOCOL, _NOT_UTF8, _TOO_BIG = 1002, 1007, 1009
_KNOWN: Final = {CONT, TEXT, BINARY, CLOSE, PING, PONG}
_VALID_CODES: Final = {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}


@dataclass
class Expected:
    """What the server delivers and sends."""

    messages: list[tuple[bytes, bool]] = field(default_factory=list)
    """Each with whether it is text."""
    pongs: list[bytes] = field(default_factory=list)
    codes: Set[int] = frozenset({OPEN})
    """The close codes that are right; several if the input is wrong in several ways."""


@dataclass
class _Header:
    fin: bool
    opcode: int
    faults: set[int]
    size: int
    mask: bytes
    end: int
    """Where the payload begins."""


class Model:
    """Parses one input."""

    def __init__(self, data: bytes, max_bytes: int, max_fragments: int) -> None:
        self._data, self._max_bytes, self._max_fragments = data, max_bytes, max_fragments
        self._fragments: list[bytes] | None = None
        self._is_text = False
        self._is_bad_message = False
        self._next = 0
        self.expected = Expected()

    def run(self) -> Expected:
        """What must come of the input."""
        at = 0
        while (codes := self._frame(at)) is None:
            at = self._next
        if self._is_bad_message:  # in one read, what follows may be rejected first: the parser is ahead
            rest = Model(self._data[self._next :], self._max_bytes, self._max_fragments)
            rest._fragments = self._fragments and [b""]
            later = rest.run()
            codes = codes | (later.codes - {OPEN})
            self.expected.pongs += later.pongs
        return replace(self.expected, codes=codes)

    def _frame(self, at: int) -> Set[int] | None:
        """Handle the frame at this offset: None if the next one follows, else how the input ends."""
        header = self._header(at)
        if isinstance(header, set):
            return header
        faults = header.faults | self._order_faults(header)
        if header.size > self._max_bytes:
            return faults | {_TOO_BIG}
        self._next = header.end + header.size
        if self._next > len(self._data):
            return faults | {OPEN}
        if faults:
            return faults
        mask = (header.mask * (header.size // 4 + 1))[: header.size]
        masked = self._data[header.end : self._next]
        payload = (int.from_bytes(masked) ^ int.from_bytes(mask)).to_bytes(header.size)
        return self._control(header, payload) if header.opcode >= CLOSE else self._part(header, payload)

    def _header(self, at: int) -> _Header | set[int]:
        data = self._data
        if len(data) - at < 2:
            return {OPEN}
        first, second = data[at], data[at + 1]
        faults = set()
        fin, opcode, size = first >= 0x80, first & 0x0F, second & 0x7F
        if first & 0x70 or opcode not in _KNOWN or second < 0x80 or (opcode >= CLOSE and (not fin or size > 125)):
            faults.add(_PROTOCOL)
        end = at + 2
        if size >= 126:
            width, least = (2, 126) if size == 126 else (8, 65536)
            if len(data) - end < width:
                return faults | {OPEN}
            size = int.from_bytes(data[end : end + width])
            end += width
            if size < least or size >= 1 << 63:
                faults.add(_PROTOCOL)
        mask = data[end : end + 4] if second >= 0x80 else b"\0\0\0\0"
        return _Header(fin, opcode, faults, size, mask, end + 4 if second >= 0x80 else end)

    def _order_faults(self, header: _Header) -> set[int]:
        is_within = self._fragments is not None
        wrong = not is_within if header.opcode == CONT else is_within
        return {_PROTOCOL} if wrong and header.opcode < CLOSE else set()

    def _control(self, header: _Header, payload: bytes) -> Set[int] | None:
        if header.opcode == PING:
            self.expected.pongs.append(payload)
        if header.opcode != CLOSE:
            return None
        if not payload:
            return {NO_CODE}
        code = int.from_bytes(payload[:2])
        faults = {_PROTOCOL} if len(payload) == 1 or code not in _VALID_CODES else set()
        if not _is_utf8(payload[2:], final=True):
            faults.add(_NOT_UTF8)
        return faults or {code}

    def _part(self, header: _Header, payload: bytes) -> Set[int] | None:
        if header.opcode != CONT:
            self._fragments, self._is_text = [], header.opcode == TEXT
        assert self._fragments is not None
        self._fragments.append(payload)
        joined = b"".join(self._fragments)
        faults = set()
        if self._is_text and not _is_utf8(joined, final=header.fin):
            faults.add(_NOT_UTF8)
        if len(joined) > self._max_bytes or len(self._fragments) > self._max_fragments:
            faults.add(_TOO_BIG)
        if faults:
            self._is_bad_message = True
            self._fragments = None if header.fin else self._fragments
            return faults
        if header.fin:
            self.expected.messages.append((joined, self._is_text))
            self._fragments = None
        elif len(self._fragments) > 64:  # joins again and again: kept short, so that it stays linear
            self._fragments = [joined, *[b""] * (len(self._fragments) - 1)]
        return None


def _is_utf8(data: bytes, *, final: bool) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final)
    except UnicodeDecodeError:
        return False
    return True
