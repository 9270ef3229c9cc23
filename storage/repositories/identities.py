"""Users of an external issuer: (issuer, subject) is mapped to a local user, who is created with the first token.

Invariants: an identity always maps to the same user, also if several nodes see it first at the same time. The login of
such a user ends in a colon and a digest of the identity, so it can be neither registered nor mistaken for a registered
one. They have no password: no password matches the empty hash.

Names and picture follow the tokens, see `storage.repositories.users.claimed_profiles`.
"""

from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from time import time
from typing import Final

from tortoise.exceptions import IntegrityError

from storage.database.database import Database, Row
from storage.errors import ErasedIdentity
from storage.log.event_rows import PERSON_COLUMNS, person_of
from storage.models import OutsideIdentity, User
from storage.names import cleaned
from storage.profile_records import ClaimedProfile
from storage.records import Person
from storage.repositories.users.claimed_profiles import FOLLOWED_COLUMNS, ClaimedProfiles
from storage.repositories.users.erasures import identity_digest

MAX_NAME: Final = 48  # casefolded it may be three times as long, and the column must hold the digest too
_DIGEST_LENGTHS: Final = (8, 64)  # short to be readable; complete if the short one collides

_FIND: Final = f"""
    SELECT {PERSON_COLUMNS}, {FOLLOWED_COLUMNS} FROM identities i JOIN users u ON u.id = i.user_id
    WHERE i.issuer = $1 AND i.subject = $2"""
_ERASED: Final = "SELECT max(requested_at) AS erased_at FROM user_erasures WHERE identity_digest = $1"


class Identities:
    """Every method raises StorageUnavailable if the database does not respond in time."""

    def __init__(self, database: Database, now: Callable[[], float] = time) -> None:
        self._database = database
        self._claimed = ClaimedProfiles(database, now)
        self._of_subjects = f"""
            SELECT i.subject, {PERSON_COLUMNS} FROM identities i JOIN users u ON u.id = i.user_id
            WHERE i.subject {database.among_texts("$1")} AND (i.issuer = $2 OR $2 = '')"""

    async def person(self, issuer: str, subject: str, name: str, claimed: ClaimedProfile | None = None) -> Person:
        """The user with this identity, created if missing; one query if it exists and `claimed` says nothing new.

        Issuer and subject are texts that can be stored, of at most 255 characters. A new user's username begins with
        `name`, which may be anything. None for `claimed`: a service names the user, without a token.
        Raises: ErasedIdentity.
        """
        row = await self._find(issuer, subject)
        if row is None:
            if claimed is not None:
                await self._check_erasure(issuer, subject, claimed.issued_at)
            row = await self._made(issuer, subject, name)
        person = person_of(row, "id")
        return person if claimed is None else await self._claimed.follow(person, row, claimed)

    async def _check_erasure(self, issuer: str, subject: str, issued_at: int) -> None:
        rows = await self._database.fetch(_ERASED, identity_digest(issuer, subject))
        if (erased_at := rows[0]["erased_at"]) is not None and issued_at <= erased_at:
            raise ErasedIdentity

    async def _made(self, issuer: str, subject: str, name: str) -> Row:
        digest = identity_digest(issuer, subject)
        for length in _DIGEST_LENGTHS:
            login = f"{cleaned(name, MAX_NAME) or 'user'}:{digest[:length]}"
            with suppress(IntegrityError):  # another node has just created it, or the login belongs to another identity
                await self._make(issuer, subject, login)
            if (made := await self._find(issuer, subject)) is not None:
                return made
        raise AssertionError("two identities have one SHA-256")

    async def by_subjects(self, subjects: Collection[str], issuer: str) -> dict[str, Person]:
        """The users whom this issuer, or any if it is empty, calls so; without subjects that are not exactly one's."""
        rows = await self._database.fetch(self._of_subjects, self._database.texts(subjects), issuer)
        named = Counter(row["subject"] for row in rows)
        return {row["subject"]: person_of(row, "id") for row in rows if named[row["subject"]] == 1}

    async def _find(self, issuer: str, subject: str) -> Row | None:
        rows = await self._database.fetch(_FIND, issuer, subject)
        return rows[0] if rows else None

    async def _make(self, issuer: str, subject: str, login: str) -> None:
        async with self._database.transaction():
            user = await User.create(login=login, login_folded=login.casefold(), password_hash="")
            await OutsideIdentity.create(issuer=issuer, subject=subject, user_id=user.id)
