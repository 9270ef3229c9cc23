"""Where the frames for one client go out, as whoever has something for many of them sees it."""

from collections.abc import Callable, Iterable
from typing import Protocol

REFUSED = -1


class Outlet(Protocol):
    """One client's. Never blocks."""

    write: Callable[[bytes], int]
    """Takes complete frames; how many bytes of them it took. The rest, or all if it raises OSError, is for `queue`.

    The lane keeps in this slot the shortest way that keeps their order: the kernel itself, as long as it takes all.
    """

    def queue(self, frames: bytes) -> int:
        """Take all of it, or nothing and return REFUSED. Never blocks."""
        ...


def write_to_all(outlets: Iterable[Outlet], frames: bytes) -> int:
    """Write complete frames to each; how many took them.

    The loop that every delivery goes through: one call each, which is the kernel's own unless a client is behind.
    """
    size, taken = len(frames), 0
    for outlet in outlets:
        try:
            written = outlet.write(frames)
        except OSError:  # full, or broken, which the transport finds out
            written = 0
        if written == size or (written != REFUSED and outlet.queue(frames[written:]) != REFUSED):
            taken += 1
    return taken
