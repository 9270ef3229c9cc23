"""Erasures of users: the request, which takes effect at once, and what is known of it.

Invariants: after the request the user has no name, no credential and no identity, and no token of theirs opens
anything; the row of `users` stays, because messages name it as their sender. The rest is the work of `erasure_work`.
"""

import hashlib
from collections.abc import Callable
from time import time
from typing import Final

from tortoise.backends.base.client import BaseDBAsyncClient

from storage.auth_models import UserErasure
from storage.database.database import Database
from storage.models import OutsideIdentity, User
from storage.profile_records import Erasure, Messages
from storage.records import is_id
from storage.repositories.revocations import Revocations

DELETED_NAME: Final = "Deleted user"
_CREDENTIALS: Final = ("login_sessions", "password_resets", "second_factors", "recovery_codes")


class Erasures:
    """Every method raises StorageUnavailable if the database does not respond in time."""

    def __init__(self, database: Database, now: Callable[[], float] = time) -> None:
        self._database = database
        self._now = now
        self._revocations = Revocations(database, now)

    async def request(self, user_id: int, messages: Messages) -> Erasure | None:
        """Delete the user, and leave the rest to the work; None if there is no such user.

        Repeated, it changes nothing, except that kept messages may be erased later.
        """
        if not is_id(user_id):
            return None
        async with self._database.transaction() as client:
            known = User.filter(id=user_id).only("id", "erased_at")
            user = await known.select_for_update(no_key=True).first()
            if user is None:
                return None
            if user.erased_at is None:
                return await self._begin(client, user_id, messages)
            row = await UserErasure.get(user_id=user_id)
            if row.messages == Messages.KEEP and messages == Messages.ERASE:
                row.messages, row.chat_cursor, row.finished_at = messages, 0, None
                await row.save(update_fields=["messages", "chat_cursor", "finished_at"])
            return erasure_of(row)

    async def of(self, user_id: int) -> Erasure | None:
        """The erasure of this user; None if it was never requested."""
        if not is_id(user_id):
            return None
        async with self._database.session():
            row = await UserErasure.get_or_none(user_id=user_id)
        return None if row is None else erasure_of(row)

    async def _begin(self, client: BaseDBAsyncClient, user_id: int, messages: Messages) -> Erasure:
        now = self._now()
        identity = await OutsideIdentity.get_or_none(user_id=user_id)
        digest = "" if identity is None else identity_digest(identity.issuer, identity.subject)
        row = await UserErasure.create(
            user_id=user_id, messages=messages, requested_at=int(now), identity_digest=digest
        )
        await User.filter(id=user_id).update(
            login=f"deleted:{user_id}",
            login_folded=f"deleted:{user_id}",
            first_name="",
            last_name="",
            display_name=DELETED_NAME,
            avatar_url="",
            data="",
            kept_fields="",
            changed_at=int(now * 1000),
            erased_at=int(now),
        )
        await OutsideIdentity.filter(user_id=user_id).delete()
        await self._revocations.add_issued_before(user_id)
        await clear_credentials(self._database, client, user_id)
        return erasure_of(row)


async def clear_credentials(database: Database, client: BaseDBAsyncClient, user_id: int) -> None:
    """Remove password, logins, resets and second factor of an erased user, in the caller's transaction.

    On PostgreSQL by a function, since the role of a gateway may not read or change them.
    """
    if database.postgres is not None:
        await client.execute_query("SELECT clear_credentials($1)", [user_id])
        return
    await client.execute_query("UPDATE users SET password_hash = '' WHERE id = ?", [user_id])
    for table in _CREDENTIALS:
        await client.execute_query(f"DELETE FROM {table} WHERE user_id = ?", [user_id])


def identity_digest(issuer: str, subject: str) -> str:
    """By which an erased identity is recognised without its name."""
    return hashlib.sha256(f"{len(issuer)}:{issuer}{subject}".encode()).hexdigest()


def erasure_of(row: UserErasure) -> Erasure:
    """What a row says."""
    return Erasure(
        row.user_id,
        Messages(row.messages),
        row.requested_at,
        row.erased_messages,
        row.finished_at,
        row.chat_cursor,
    )
