"""The position that a client comes back with: `<seq>` or `<epoch>:<seq>`."""

from gateway.messages import MAX_ID
from gateway.messages import Since as Since

UNREADABLE = Since(0, epoch="")
"""No history of ours has this epoch: whoever comes with it is told to reload."""


def read_since(text: str) -> Since:
    """What `text` says; UNREADABLE if it is no position."""
    epoch, colon, digits = text.rpartition(":")
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 19 or int(digits) > MAX_ID:
        return UNREADABLE
    return Since(int(digits), epoch if colon else None)
