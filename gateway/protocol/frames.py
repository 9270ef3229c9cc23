"""Server-to-client WebSocket frames (RFC 6455 §5.2). They are unmasked, so the same bytes serve every subscriber."""

from collections.abc import Iterable, Iterator
from os import write
from typing import Protocol

NOT_DIRECT = -1
"""In place of a file descriptor."""


class FrameSink(Protocol):
    """The write side of one client's socket. Never blocks."""

    fd: int
    """The socket's file descriptor while a write to it keeps the order of frames, NOT_DIRECT while they must be queued.

    A number, not a function: of a thousand sockets each object that a write touches is read from memory again.
    """

    def queue(self, frames: bytes) -> bool:
        """Queue all of `frames`, or none of them and return False. Never blocks."""
        ...


def write_to_all(outlets: Iterable[FrameSink], frames: bytes) -> int:
    """Write complete frames to each sink, and return how many accepted them.

    Every delivery runs this loop: one call per sink, which is a direct write to its socket unless the client is slow.
    """
    size, taken = len(frames), 0
    for outlet in outlets:
        fd = outlet.fd
        try:
            written = write(fd, frames) if fd != NOT_DIRECT else 0
        except OSError:  # the socket buffer is full, or the connection is broken, which the transport will detect
            written = 0
        if written == size or outlet.queue(frames[written:]):
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
