"""Logins that can be renewed: one row a login, with digests of its latest refresh tokens."""

from collections.abc import Callable
from time import time
from typing import Final

from storage.auth_models import LoginSession
from storage.auth_records import MAX_USER_AGENT, LoginListing, RenewableLogin, RevocationKind, name_digest
from storage.database.database import Database
from storage.log.event_rows import PERSON_COLUMNS, person_of
from storage.models import StoreIdentity
from storage.repositories.revocations import KEPT_S, Revocations, append_entry

MAX_A_USER: Final = 50
"""Sessions of one user; a further login ends the oldest."""
PURGED: Final = 500
"""Expired rows that one login deletes at most."""
ENCRYPTED_AT_ONCE: Final = 500
"""Sessions whose secrets one transaction encrypts."""

_FIND: Final = f"""
    SELECT s.id AS session_id, s.secret, s.digest, s.previous_digest, s.created_at, s.rotated_at, s.expires_at,
        {PERSON_COLUMNS}
    FROM login_sessions s JOIN users u ON u.id = s.user_id WHERE s.id = $1"""
_OF_USER: Final = f"""
    SELECT id AS session_id, created_at, rotated_at AS used_at, expires_at, user_agent FROM login_sessions
    WHERE user_id = $1 ORDER BY rotated_at DESC, id LIMIT {MAX_A_USER}"""
_ROTATE: Final = """
    UPDATE login_sessions SET digest = $3, previous_digest = $2, rotated_at = $4, expires_at = $5
    WHERE id = $1 AND digest = $2 RETURNING id"""


class LoginSessions:
    """Every method raises StorageUnavailable if the database does not respond in time. Times are in Unix seconds."""

    def __init__(self, database: Database, now: Callable[[], float] = time) -> None:
        self._database = database
        self._now = now
        self._revocations = Revocations(database, now)

    async def add(
        self,
        user_id: int,
        session_id: str,
        secret: str,
        digest: str,
        created_at: int,
        expires_at: int,
        user_agent: str = "",
    ) -> None:
        """Store a new session; beyond MAX_A_USER the oldest of the user ends."""
        now = int(self._now())
        async with self._database.transaction():
            await LoginSession.create(
                id=session_id,
                user_id=user_id,
                secret=secret,
                digest=digest,
                created_at=created_at,
                rotated_at=now,
                expires_at=expires_at,
                user_agent=user_agent[:MAX_USER_AGENT],
            )
            older = LoginSession.filter(user_id=user_id).order_by("-created_at", "id").offset(MAX_A_USER)
            needless = await older.limit(PURGED).values_list("id", flat=True)
            needless += await LoginSession.filter(expires_at__lt=now).limit(PURGED).values_list("id", flat=True)
            if needless:
                await LoginSession.filter(id__in=needless).delete()

    async def find(self, session_id: str) -> RenewableLogin | None:
        """The session; None if it has ended."""
        rows = await self._database.fetch(_FIND, session_id)
        if not rows:
            return None
        row = rows[0]
        return RenewableLogin(
            session_id,
            person_of(row, "id"),
            row["secret"],
            row["digest"],
            row["previous_digest"],
            row["created_at"],
            row["rotated_at"],
            row["expires_at"],
        )

    async def encrypt_secrets(self, encrypted: Callable[[str, str], str]) -> int:
        """Replace secrets that are not encrypted, at most ENCRYPTED_AT_ONCE; returns how many.

        `encrypted` makes a text with a dot of the session's id and secret; a secret without one is not encrypted.
        """
        async with self._database.transaction():
            await StoreIdentity.select_for_update().get()  # two processes would lock the same rows
            plain = LoginSession.exclude(secret__contains=".")  # noqa: S106  a lookup
            sessions = await plain.order_by("id").limit(ENCRYPTED_AT_ONCE)
            for session in sessions:
                session.secret = encrypted(session.id, session.secret)
            if sessions:
                await LoginSession.bulk_update(sessions, fields=["secret"])
            return len(sessions)

    async def rotate(self, session_id: str, digest: str, successor: str, expires_at: int) -> bool:
        """Replace the token's digest by its successor's: of concurrent callers one succeeds."""
        return bool(await self._database.write(_ROTATE, session_id, digest, successor, int(self._now()), expires_at))

    async def end(self, user_id: int, session_id: str, access_expires_at: float) -> None:
        """End the user's session, and revoke its access tokens, which expire by `access_expires_at`."""
        async with self._database.transaction():
            await self._revocations.add_session(user_id, session_id, access_expires_at)
            await LoginSession.filter(id=session_id, user_id=user_id).delete()

    async def end_existing(self, user_id: int, session_id: str, access_expires_at: float) -> bool:
        """As `end`; False, and nothing changes, if the user has no such session."""
        async with self._database.transaction():
            if not await LoginSession.filter(id=session_id, user_id=user_id).delete():
                return False
            await self._revocations.add_session(user_id, session_id, access_expires_at)
        return True

    async def of_user(self, user_id: int) -> list[LoginListing]:
        """The user's sessions, at most MAX_A_USER, the last used first."""
        rows = await self._database.fetch(_OF_USER, user_id)
        return [LoginListing(**row) for row in rows]

    async def end_all(self, user_id: int) -> None:
        """End every session of the user, and revoke all tokens so far."""
        async with self._database.transaction():
            await self._revocations.add_issued_before(user_id)
            await LoginSession.filter(user_id=user_id).delete()

    async def revoke_token(self, user_id: int, jti: str, expires_at: float) -> None:
        """Revoke an access token without a session."""
        await self._revocations.revoke_token(user_id, jti, expires_at)

    async def is_revoked(self, user_id: int, jti: str, session_id: str) -> bool:
        """Whether the user's access token with this jti, or of this session, is revoked by itself."""
        return await self._revocations.has(user_id, jti, session_id)

    async def earliest_iat(self, user_id: int, jti: str = "", session_id: str = "") -> int:
        """The earliest `iat` of a token of this user that is not revoked; of this token, if its names are given."""
        return await self._revocations.issued_before(user_id, jti, session_id)

    async def is_banned(self, user_id: int) -> bool:
        """Whether the user is banned."""
        return await self._revocations.ban_of(user_id) is not None


async def end_sessions(user_id: int, now: float, *, session_id: str = "", jti: str = "") -> None:
    """Within a transaction, end the user's sessions and revoke all tokens so far, except this session or this token."""
    moment = int(now) + 1  # tokens have whole seconds
    await LoginSession.filter(user_id=user_id).exclude(id=session_id).delete()
    await LoginSession.filter(id=session_id, user_id=user_id).update(created_at=moment)
    spared = name_digest(session_id or jti)
    kind, expires_at = RevocationKind.ISSUED_BEFORE, int(now) + KEPT_S
    await append_entry(user_id, kind, now, digest=spared, moment=moment, expires_at=expires_at)
