"""The position that a client comes back with: `?since=<seq>` or `?since=<epoch>:<seq>`."""

from dataclasses import dataclass

from gateway.messages import MAX_ID


@dataclass(frozen=True, slots=True)
class Since:
    """The last seq that the client has; `epoch` None trusts that the history is still the same."""

    seq: int
    epoch: str | None = None


UNREADABLE = Since(0, epoch="")
"""No history of ours has this epoch: whoever comes with it is told to reload."""


def read_since(text: str) -> Since:
    """What `text` says; UNREADABLE if it is no position."""
    epoch, colon, digits = text.rpartition(":")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 19 or int(digits) > MAX_ID:
        return UNREADABLE
    return Since(int(digits), epoch if colon else None)
