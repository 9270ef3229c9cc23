"""The rooms whose code is mutated, and the unit tests that must notice."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Room:
    """A folder whose code is mutated, and the tests that must notice."""

    source: str
    tests: Sequence[str]
    without: Sequence[str] = ()
    """Files that are not mutated."""
    deselect: str = ""
    """A pytest expression for tests that are too slow to run for each mutant."""
    is_sql: bool = False
    """Whether its strings are SQL, which means the same in capitals."""


ROOMS = {
    "protocol": Room("gateway/protocol", ["tests/gateway/protocol"]),
    "delivery": Room("gateway/delivery", ["tests/gateway/delivery"]),
    "log": Room("storage/log", ["tests/storage/log"], ["storage/log/commit_postgres.py"], "postgres", is_sql=True),
    "sessions": Room("gateway/sessions", ["tests/gateway/sessions"]),
    "transport": Room("gateway/transport", ["tests/gateway/transport"], deselect="uvloop"),
}
