"""One message from its fragments, checked as they come (RFC 6455 §5.4, §5.6, §8.1). Pure: it knows no socket.

Keeps: a message is bounded in bytes, and in fragments, since an empty one has no bytes to count. They lie in one flat
buffer, so that many small ones cost no more than their bytes. Text is UTF-8, or fails at the first fragment that shows
otherwise.
"""

import codecs
from dataclasses import dataclass
from typing import Final

MAX_FRAGMENTS: Final = 1024
"""Of one message. Browsers send none; other clients split by kilobytes, and 64 KiB have 1,024 parts of 64 bytes."""

_new_decoder = codecs.getincrementaldecoder("utf-8")


@dataclass(frozen=True, slots=True)
class BadMessage:
    """A message that cannot be taken, and the close code and reason to say so with."""

    code: int
    reason: str


NOT_UTF8: Final = BadMessage(1007, "invalid UTF-8")
TOO_BIG: Final = BadMessage(1009, "message too big")
TOO_MANY: Final = BadMessage(1009, "too many fragments")


class Fragments:
    """Joins one message at a time. The caller has checked that frames come in an order that makes sense."""

    __slots__ = ("_count", "_decoder", "_joined", "_max_bytes", "is_text")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._joined = bytearray()
        self._count = 0
        self._decoder: codecs.IncrementalDecoder | None = None
        self.is_text = False
        """Of the message that was begun last."""

    def begin(self, payload: bytes, is_text: bool, is_last: bool) -> bytes | BadMessage | None:
        """A message's first frame, of at most `max_bytes`. Returns the message if it is whole already."""
        self.is_text = is_text
        if is_last:
            return NOT_UTF8 if is_text and not _is_utf8(payload) else payload
        self._joined.clear()
        self._count = 0
        self._decoder = _new_decoder() if is_text else None
        return self.proceed(payload, is_last=False)

    def proceed(self, payload: bytes, is_last: bool) -> bytes | BadMessage | None:
        """A further frame. Returns the message if this was its last."""
        self._count += 1
        if self._count > MAX_FRAGMENTS:
            return TOO_MANY
        if len(self._joined) + len(payload) > self._max_bytes:
            return TOO_BIG
        if self._decoder is not None:
            try:
                self._decoder.decode(payload, final=is_last)
            except UnicodeDecodeError:
                return NOT_UTF8
        self._joined += payload
        if not is_last:
            return None
        message, self._joined, self._decoder = bytes(self._joined), bytearray(), None
        return message


def _is_utf8(payload: bytes) -> bool:
    if payload.isascii():
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
