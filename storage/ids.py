"""What can be an id or a seq at all: clients may name any number, and neither database takes one beyond 64 bits."""

from typing import TypeGuard

BIGINT_MAX = 2**63 - 1


def are_ids(*values: int | None) -> bool:
    """Whether each of them can be an id; what cannot is nobody's, and not for the database to complain about."""
    return all(is_id(value) for value in values)


def is_id(value: int | None) -> TypeGuard[int]:
    """Whether this can be an id."""
    return value is not None and 0 < value <= BIGINT_MAX


def clamped(seq: int) -> int:
    """A seq, however absurd, as one that both databases take and that means the same."""
    return min(max(seq, 0), BIGINT_MAX)
