"""Validation of the ids, seqs and positions that clients send, in JSON and in URLs."""

from typing import TypeGuard

from msgspec import Struct

MAX_ID = 2**63 - 1  # what a BIGINT column holds


def is_id(value: object) -> TypeGuard[int]:
    """Whether `value` may be the id of a stored object: a positive integer that fits a BIGINT."""
    return type(value) is int and 0 < value <= MAX_ID


def is_seq(value: object) -> TypeGuard[int]:
    """Whether `value` may be a seq; 0 is valid and stands for the position before the first event."""
    return type(value) is int and 0 <= value <= MAX_ID


def id_in(text: str) -> int | None:
    """The id in a part of a URL; None if it cannot be one."""
    return seq_in(text) or None


def seq_in(text: str) -> int | None:
    """The seq, or another number from 0 to MAX_ID, in a part of a URL; None for anything but its ASCII digits."""
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(MAX_ID)):
        return None
    value = int(text)
    return value if value <= MAX_ID else None


class Since(Struct, frozen=True, gc=False):
    """The position from which a reconnecting client resumes: `<seq>` or `<epoch>:<seq>`.

    The seq is the last one that the client has; with `epoch` None the history is assumed to be the same.
    """

    seq: int
    epoch: str | None = None


UNREADABLE = Since(0, epoch="")
"""A position whose epoch matches no history, so that the client receives a Reset and reloads."""


def read_since(text: str) -> Since:
    """The position in `text`; UNREADABLE if it is not valid."""
    epoch, colon, digits = text.rpartition(":")
    seq = seq_in(digits)
    return UNREADABLE if seq is None else Since(seq, epoch if colon else None)
