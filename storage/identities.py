"""Users whom another issuer vouches for: its (issuer, subject) is a user of ours, made at first sight.

Invariants: an identity is one user's for ever, whichever nodes see it first and at once; nobody from outside has a
login that a person may register, nor looks as if: theirs end in a colon and a digest of the identity. They have no
password: no password fits the empty hash.
"""

import hashlib
from contextlib import suppress
from typing import Final

from tortoise.exceptions import IntegrityError

from storage.database import Database
from storage.models import OutsideIdentity, User
from storage.records import Person

MAX_NAME: Final = 48  # casefolded it may be three times as long, and the digest must find room in the column
_DIGEST_LENGTHS: Final = (8, 64)  # short for people; whole for two of one name whose short ones are the same

_FIND: Final = """
    SELECT u.id, u.login, u.first_name, u.last_name FROM identities i JOIN users u ON u.id = i.user_id
    WHERE i.issuer = $1 AND i.subject = $2"""


class Identities:
    """Every method raises StorageUnavailable when the database does not answer in time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def person(self, issuer: str, subject: str, name: str) -> Person:
        """The user with this identity, made if need be; one query if there is one.

        Issuer and subject are texts that can be stored, of at most 255 characters. A new user's username begins with
        `name`, which may be anything.
        """
        if (known := await self._find(issuer, subject)) is not None:
            return known
        digest = hashlib.sha256(f"{len(issuer)}:{issuer}{subject}".encode()).hexdigest()
        for length in _DIGEST_LENGTHS:
            login = f"{_presentable(name)}:{digest[:length]}"
            with suppress(IntegrityError):  # another node was faster by a moment, or the login is another identity's
                await self._make(issuer, subject, login)
            if (made := await self._find(issuer, subject)) is not None:
                return made
        raise AssertionError("two identities have one SHA-256")

    async def _find(self, issuer: str, subject: str) -> Person | None:
        rows = await self._database.fetch(_FIND, issuer, subject)
        return Person(*rows[0].values()) if rows else None

    async def _make(self, issuer: str, subject: str, login: str) -> None:
        async with self._database.transaction():
            user = await User.create(login=login, login_folded=login.casefold(), password_hash="")
            await OutsideIdentity.create(issuer=issuer, subject=subject, user_id=user.id)


def _presentable(name: str) -> str:
    """What of a name can be stored and shown on one line."""
    return "".join(filter(str.isprintable, name)).strip()[:MAX_NAME] or "user"
