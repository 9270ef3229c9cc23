"""Reactions to messages as values, and their limits."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from msgspec import Struct

MAX_REACTION_KEY: Final = 32
"""In code points."""
MAX_KEYS_A_MESSAGE: Final = 20  # `chat_log_react.sql` has these two figures too
MAX_REACTIONS_A_USER: Final = 5
"""Of one user to one message."""
NO_COUNTS: Final = "{}"
OwnReactions = Mapping[int, Sequence[str]]
"""By message: the keys of one user's reactions to it."""
NO_REACTIONS: Final[OwnReactions] = MappingProxyType({})
_ADD: Final = "+"
_REMOVE: Final = "-"


class Reaction(Struct, frozen=True, gc=False):
    """What an event of kind REACTION says: this user has added or removed this key.

    `counts` is a JSON object as text, from key to number of users, right after the event; it never changes.
    """

    user_id: int
    key: str
    removed: bool
    counts: str


class Unchanged(Struct, frozen=True, gc=False):
    """The reaction was there already, or was not there to remove: nothing is stored. `counts` as in `Reaction`."""

    message_id: int
    counts: str


def reaction_text(key: str, *, removed: bool) -> str:
    """The `text` of an event to store, from which `reaction_of` gets the key."""
    return f"{_REMOVE if removed else _ADD}{key}"


def reaction_of(text: str, user_id: int, counts: str) -> Reaction:
    """The reaction that was stored with this `reaction_text`."""
    return Reaction(user_id, text[1:], text[:1] == _REMOVE, counts)
