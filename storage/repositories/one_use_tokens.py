"""Tokens that are used once: invitations to register. They are stored as digests, and deleted when they are used.

Times are in Unix seconds.
"""

from collections.abc import Callable
from time import time
from typing import Final

from storage.database.database import Database
from storage.models import Invitation

PURGED: Final = 500
"""Expired rows that one new token deletes at most."""


class Invitations:
    """Every method raises StorageUnavailable if the database does not respond in time."""

    def __init__(self, database: Database, now: Callable[[], float] = time) -> None:
        self._database = database
        self._now = now

    async def add(self, digest: str, login: str, expires_at: int) -> None:
        """Store an invitation, for one login or for any (""); expired ones are deleted, PURGED at a time."""
        async with self._database.transaction():
            await Invitation.create(digest=digest, login_folded=login.casefold(), expires_at=expires_at)
            expired = Invitation.filter(expires_at__lte=int(self._now())).limit(PURGED)
            if needless := await expired.values_list("digest", flat=True):
                await Invitation.filter(digest__in=needless).delete()

    async def has(self, digest: str, login: str) -> bool:
        """Whether an account with this login may be created with the invitation now."""
        async with self._database.session():
            return await Invitation.filter(**_valid(digest, login, self._now())).exists()


async def use_invitation(digest: str, login: str, now: float) -> bool:
    """Within a transaction, use up the invitation; of concurrent callers one succeeds."""
    return bool(await Invitation.filter(**_valid(digest, login, now)).delete())


def _valid(digest: str, login: str, now: float) -> dict[str, object]:
    return {"digest": digest, "login_folded__in": ["", login.casefold()], "expires_at__gt": int(now)}
