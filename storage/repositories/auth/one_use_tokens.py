"""Tokens that are used once, stored as digests and deleted with their use: invitations, and resets of passwords.

Times are in Unix seconds.
"""

from collections.abc import Callable
from time import time
from typing import Final

from storage.auth_models import Invitation, ResetToken
from storage.auth_records import Account
from storage.database.database import Database
from storage.log.event_rows import PERSON_COLUMNS, person_of

RESETS_A_USER: Final = 5
_ACCOUNT: Final = f"""
    SELECT {PERSON_COLUMNS}, u.password_hash
    FROM password_resets r JOIN users u ON u.id = r.user_id WHERE r.digest = $1 AND r.expires_at > $2"""
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


class ResetTokens:
    """Every method raises StorageUnavailable if the database does not respond in time."""

    def __init__(self, database: Database, now: Callable[[], float] = time) -> None:
        self._database = database
        self._now = now

    async def add(self, digest: str, user_id: int, expires_at: int) -> None:
        """Store a token; of a user the latest RESETS_A_USER stay, and expired ones are deleted, PURGED at a time."""
        async with self._database.transaction():
            await ResetToken.create(digest=digest, user_id=user_id, expires_at=expires_at)
            older = ResetToken.filter(user_id=user_id).order_by("-expires_at", "digest").offset(RESETS_A_USER)
            needless = await older.limit(PURGED).values_list("digest", flat=True)
            expired = ResetToken.filter(expires_at__lte=int(self._now())).limit(PURGED)
            needless += await expired.values_list("digest", flat=True)
            if needless:
                await ResetToken.filter(digest__in=needless).delete()

    async def account_of(self, digest: str) -> Account | None:
        """The account whose password the token resets now."""
        rows = await self._database.fetch(_ACCOUNT, digest, int(self._now()))
        return Account(person_of(rows[0], "id"), rows[0]["password_hash"]) if rows else None


async def use_reset_token(digest: str, now: float) -> int | None:
    """Within a transaction, use up all tokens of this token's user; one of concurrent callers gets the user's id."""
    token = await ResetToken.get_or_none(digest=digest, expires_at__gt=int(now))
    if token is None or not await ResetToken.filter(digest=digest).delete():
        return None
    await ResetToken.filter(user_id=token.user_id).delete()
    return token.user_id


async def use_invitation(digest: str, login: str, now: float) -> bool:
    """Within a transaction, use up the invitation; of concurrent callers one succeeds."""
    return bool(await Invitation.filter(**_valid(digest, login, now)).delete())


def _valid(digest: str, login: str, now: float) -> dict[str, object]:
    return {"digest": digest, "login_folded__in": ["", login.casefold()], "expires_at__gt": int(now)}
