"""Server-to-client WebSocket frames (RFC 6455 §5.2). They are unmasked, so the same bytes serve every subscriber."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

REFUSED = -1


class FrameSink(Protocol):
    """The write side of one client's socket. Never blocks."""

    write: Callable[[bytes], int]
    """Writes complete frames and returns the number of bytes accepted.

    The remaining bytes, or all of them after an OSError, must be passed to `queue`. The implementation stores here the
    fastest function that keeps the frames in order: the socket's own send, as long as the kernel accepts everything.
    """

    def queue(self, frames: bytes) -> int:
        """Queue all of `frames`, or none of them and return REFUSED. Never blocks."""
        ...


def write_to_all(outlets: Iterable[FrameSink], frames: bytes) -> int:
    """Write complete frames to each sink, and return how many accepted them.

    Every delivery runs this loop: one call per sink, which is a direct socket send unless the client is slow.
    """
    size, taken = len(frames), 0
    for outlet in outlets:
        try:
            written = outlet.write(frames)
        except OSError:  # the socket buffer is full, or the connection is broken, which the transport will detect
            written = 0
        if written == size or (written != REFUSED and outlet.queue(frames[written:]) != REFUSED):
            taken += 1
    return taken


def text_frame(payload: bytes) -> bytes:
    """`payload` (UTF-8) as one complete text frame."""
    return b"\x81" + _sized(payload)


def binary_frame(payload: bytes) -> bytes:
    """`payload` as one complete binary frame."""
    return b"\x82" + _sized(payload)


def _sized(payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return size.to_bytes(1) + payload
    if size < 65536:
        return b"\x7e" + size.to_bytes(2) + payload
    return b"\x7f" + size.to_bytes(8) + payload


def payloads_in(frames: bytes) -> Iterator[bytes]:
    """The payloads of complete server frames, which `text_frame` has made."""
    at = 0
    while at < len(frames):
        size, at = frames[at + 1], at + 2
        if size >= 126:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(frames[at : at + width]), at + width
        yield frames[at : at + size]
        at += size
