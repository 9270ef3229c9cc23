"""Joins the fragments of a message and checks each on arrival (RFC 6455 §5.4, §5.6, §8.1). Has no socket.

Keeps: a message is bounded in bytes, and in fragments, since an empty fragment has no bytes to count. Fragments are
joined in one flat buffer, so that many small ones cost no more than their bytes. Text that is not UTF-8 fails at the
first fragment that proves it.
"""

import codecs
from dataclasses import dataclass
from typing import Final

MAX_FRAGMENTS: Final = 1024
"""The most fragments of one message. Browsers do not fragment; other clients split by kilobytes, and 64 KiB are 1,024
fragments of 64 bytes."""

_new_decoder = codecs.getincrementaldecoder("utf-8")


@dataclass(frozen=True, slots=True)
class BadMessage:
    """The close code and reason for a message that is rejected."""

    code: int
    reason: str


NOT_UTF8: Final = BadMessage(1007, "invalid UTF-8")
TOO_BIG: Final = BadMessage(1009, "message too big")
TOO_MANY: Final = BadMessage(1009, "too many fragments")


class Fragments:
    """Joins one message at a time. The caller has checked that the order of the frames is valid."""

    __slots__ = ("_count", "_decoder", "_joined", "_max_bytes", "is_text")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._joined = bytearray()
        self._count = 0
        self._decoder: codecs.IncrementalDecoder | None = None
        self.is_text = False
        """The type of the message that was begun last."""

    def begin(self, payload: bytes, is_text: bool, is_last: bool) -> bytes | BadMessage | None:
        """Add a message's first frame, of at most `max_bytes`. Returns the message if this frame completes it."""
        self.is_text = is_text
        if is_last:
            return NOT_UTF8 if is_text and not _is_utf8(payload) else payload
        self._joined.clear()
        self._count = 0
        self._decoder = _new_decoder() if is_text else None
        return self.proceed(payload, is_last=False)

    def proceed(self, payload: bytes, is_last: bool) -> bytes | BadMessage | None:
        """Add a further frame. Returns the message if this frame completes it."""
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
