"""The log of revoked tokens and bans. Every node reads what was appended, and closes the sessions it concerns.

Invariant: ids are in the order of the commits, so that a reader that has seen an entry has seen all earlier ones.
"""

import time
from collections.abc import Callable
from typing import Final

from storage.auth_models import Revocation
from storage.auth_records import RevocationEntry, RevocationKind, name_digest
from storage.database.database import Database, Row
from storage.models import StoreIdentity

KEPT_S: Final = 30 * 24 * 3600
"""How long a revoked token is remembered whose expiry is not known: no token may live longer."""
PAGE: Final = 1000
PURGED: Final = 1000
"""Rows that one call of `purge` deletes at most."""

_COLUMNS: Final = "id, user_id, kind, digest, moment, reason, created_at"
_SINCE: Final = f"SELECT {_COLUMNS} FROM revocations WHERE id >= $1 ORDER BY id LIMIT {PAGE}"
_BAN: Final = f"""
    SELECT {_COLUMNS} FROM revocations WHERE user_id = $1 AND kind IN ('ban', 'unban') ORDER BY id DESC LIMIT 1"""
_ISSUED_BEFORE: Final = """
    SELECT max(moment) AS moment FROM revocations
    WHERE user_id = $1 AND kind = 'issued_before' AND digest NOT IN ($2, $3)"""
_NOTHING: Final = "-"
"""No digest: the entry that spares nothing has the empty one."""
_NEEDLESS: Final = f"""
    SELECT id FROM revocations AS r
    WHERE id < (SELECT max(id) FROM revocations) AND (expires_at < $1 OR kind IN ('ban', 'unban') AND EXISTS (
        SELECT 1 FROM revocations AS later
        WHERE later.user_id = r.user_id AND later.kind IN ('ban', 'unban') AND later.id > r.id))
    ORDER BY id LIMIT {PURGED}"""
"""The newest entry stays: by its id a reader recognises that it has read everything."""


class Revocations:
    """Every method raises StorageUnavailable if the database does not respond in time."""

    def __init__(self, database: Database, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now

    async def revoke_token(self, user_id: int, jti: str, expires_at: float | None = None) -> RevocationEntry:
        """Revoke the user's token with this jti, which expires at `expires_at` or within KEPT_S."""
        end = self._now() + KEPT_S if expires_at is None else expires_at
        return await self._append(user_id, RevocationKind.JTI, digest=name_digest(jti), expires_at=int(end) + 1)

    async def revoke_session(self, user_id: int, session_id: str, expires_at: float) -> RevocationEntry:
        """Revoke the access tokens of a login, the last of which expires at `expires_at`."""
        async with self._database.transaction():
            return await self.add_session(user_id, session_id, expires_at)

    async def add_session(self, user_id: int, session_id: str, expires_at: float) -> RevocationEntry:
        """As `revoke_session`, in the caller's transaction."""
        kind, expires = RevocationKind.SESSION, int(expires_at) + 1
        return await append_entry(user_id, kind, self._now(), digest=name_digest(session_id), expires_at=expires)

    async def revoke_issued_before(self, user_id: int, moment: float | None = None) -> RevocationEntry:
        """Revoke the user's tokens that were issued before `moment`, by default now.

        Tokens have whole seconds, so those of the current second are revoked too; `issued_before` says from when on new
        ones are valid.
        """
        async with self._database.transaction():
            return await self.add_issued_before(user_id, moment)

    async def add_issued_before(self, user_id: int, moment: float | None = None) -> RevocationEntry:
        """As `revoke_issued_before`, in the caller's transaction."""
        now = self._now()
        whole = int(now) + 1 if moment is None else int(moment)
        kind, expires = RevocationKind.ISSUED_BEFORE, int(now) + KEPT_S
        return await append_entry(user_id, kind, now, moment=whole, expires_at=expires)

    async def ban(self, user_id: int, until: float | None, reason: str) -> RevocationEntry:
        """Ban the user until this time, or until `unban`; it replaces an earlier ban."""
        moment = None if until is None else int(until)
        return await self._append(user_id, RevocationKind.BAN, moment=moment, reason=reason, expires_at=moment)

    async def unban(self, user_id: int) -> None:
        """End the user's ban, if there is one."""
        if await self.ban_of(user_id) is not None:
            expires_at = int(self._now()) + KEPT_S
            await self._append(user_id, RevocationKind.UNBAN, expires_at=expires_at)

    async def ban_of(self, user_id: int) -> RevocationEntry | None:
        """The user's ban, if it has not ended."""
        rows = await self._database.fetch(_BAN, user_id)
        entry = _entry(rows[0]) if rows else None
        if entry is None or entry.kind is not RevocationKind.BAN:
            return None
        return entry if entry.moment is None or entry.moment > self._now() else None

    async def issued_before(self, user_id: int, jti: str = "", session_id: str = "") -> int:
        """The earliest `iat` of a token of this user that is not revoked; of this token, if its names are given."""
        names = [name_digest(name) or _NOTHING for name in (jti, session_id)]
        rows = await self._database.fetch(_ISSUED_BEFORE, user_id, *names)
        return rows[0]["moment"] or 0

    async def has(self, user_id: int, *names: str) -> bool:
        """Whether one of the user's tokens or sessions with these jtis or ids is revoked by itself."""
        digests = {name_digest(name) for name in names if name}
        kinds = [RevocationKind.JTI, RevocationKind.SESSION]
        async with self._database.session():
            return await Revocation.filter(user_id=user_id, kind__in=kinds, digest__in=list(digests)).exists()

    async def since(self, entry_id: int) -> list[RevocationEntry]:
        """The first PAGE entries from this id on, including it, in their order."""
        return [_entry(row) for row in await self._database.fetch(_SINCE, entry_id)]

    async def purge(self) -> int:
        """Delete up to PURGED entries without effect, and return their number."""
        needless = await self._database.fetch(_NEEDLESS, int(self._now()))
        ids = [row["id"] for row in needless]
        if ids:
            async with self._database.transaction():
                await Revocation.filter(id__in=ids).delete()
        return len(ids)

    async def _append(
        self,
        user_id: int,
        kind: RevocationKind,
        *,
        digest: str = "",
        moment: int | None = None,
        reason: str = "",
        expires_at: int | None,
    ) -> RevocationEntry:
        async with self._database.transaction():
            return await append_entry(
                user_id, kind, self._now(), digest=digest, moment=moment, reason=reason, expires_at=expires_at
            )


async def append_entry(
    user_id: int,
    kind: RevocationKind,
    now: float,
    *,
    digest: str = "",
    moment: int | None = None,
    reason: str = "",
    expires_at: int | None,
) -> RevocationEntry:
    """Append an entry within a transaction, which holds the lock of the log until it commits."""
    await StoreIdentity.select_for_update().get()  # one at a time; on SQLite the transaction ensures that
    row = await Revocation.create(
        user_id=user_id,
        kind=kind,
        digest=digest,
        moment=moment,
        reason=reason,
        created_at=int(now),
        expires_at=expires_at,
    )
    return RevocationEntry(row.id, user_id, kind, digest, moment, reason, row.created_at)


def _entry(row: Row) -> RevocationEntry:
    return RevocationEntry(**{**row, "kind": RevocationKind(row["kind"])})
