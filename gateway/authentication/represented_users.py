"""Finds the users for whom services act. Implements `gateway.interfaces.users.senders.Senders`."""

import asyncio
import time
from collections.abc import Collection, Mapping
from typing import Final, Protocol

from gateway.authentication.credential_resolver import People
from gateway.interfaces.revocations import RevocationCheck
from gateway.interfaces.users.senders import SenderFault, Unrepresentable
from gateway.protocol.codes import Close
from gateway.protocol.ids import id_in
from storage.auth_records import Credential
from storage.records import Person

MAX_SUBJECT: Final = 255
_SUBJECT: Final = "sub:"


class Subjects(Protocol):
    """Users by what an external issuer calls them. Implemented in `storage.repositories.identities`."""

    async def by_subjects(self, subjects: Collection[str], issuer: str) -> Mapping[str, Person]:
        """The users whom this issuer, or any if it is empty, calls so; without subjects that are not exactly one's.

        Raises: StorageUnavailable.
        """
        ...


class RepresentedUsers:
    """Ids and subjects are looked up in one query each; a ban counts, a revoked token does not."""

    def __init__(self, people: People, subjects: Subjects, revocations: RevocationCheck, issuer: str = "") -> None:
        """`issuer` is the external issuer's name, if it is known."""
        self._people = people
        self._subjects = subjects
        self._revocations = revocations
        self._issuer = issuer

    async def find(self, names: Collection[str]) -> dict[str, Person | Unrepresentable]:
        """The user of each name.

        Raises: StorageUnavailable.
        """
        ids = {name: user_id for name in names if (user_id := id_in(name)) is not None}
        subjects = {name: subject for name in names if (subject := _subject_in(name)) is not None}
        people: dict[str, Person | None] = dict(
            zip(ids, await asyncio.gather(*map(self._people.by_id, ids.values())), strict=True)
        )
        if subjects:
            known = await self._subjects.by_subjects(set(subjects.values()), self._issuer)
            people |= {name: known.get(subject) for name, subject in subjects.items()}
        invalid = Unrepresentable(SenderFault.INVALID)
        return {name: self._allowed(people[name]) if name in people else invalid for name in names}

    def _allowed(self, person: Person | None) -> Person | Unrepresentable:
        if person is None:
            return Unrepresentable(SenderFault.UNKNOWN)
        now = time.time()
        refusal = self._revocations.refusal(Credential(person.id, expires_at=now, issued_at=int(now)))
        if refusal is not None and refusal.code is Close.BANNED:
            return Unrepresentable(SenderFault.BANNED, refusal.reason)
        return person


def _subject_in(name: str) -> str | None:
    subject = name.removeprefix(_SUBJECT)
    is_valid = subject != name and 0 < len(subject) <= MAX_SUBJECT and "\x00" not in subject
    return subject if is_valid else None
