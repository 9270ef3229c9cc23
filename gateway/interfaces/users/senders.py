"""The users for whom services act. Implemented by `gateway.authentication.represented_users`."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from storage.records import Person


class SenderFault(StrEnum):
    """Why nobody can act for the named user; the values are reasons of dead letters."""

    INVALID = "invalid_sender"  # neither an id, nor `sub:` and a subject
    UNKNOWN = "unknown_sender"
    BANNED = "banned_sender"


@dataclass(frozen=True, slots=True)
class Unrepresentable:
    """Nobody can act for the named user; `reason` is that of a ban."""

    fault: SenderFault
    reason: str = ""


class Senders(Protocol):
    """Finds users by the names that services give them: an id, or `sub:` and a subject of the external issuer."""

    async def find(self, names: Collection[str]) -> dict[str, Person | Unrepresentable]:
        """The user of each name; at most 500 names, in at most two queries.

        Raises: StorageUnavailable.
        """
        ...
