"""Signing keys, shared by all processes of the auth service."""

from collections.abc import Callable
from datetime import UTC, datetime

from storage.auth_models import SigningKeyPair
from storage.auth_records import PublicSigningKey, SigningKey
from storage.database.database import Database
from storage.models import StoreIdentity


class SigningKeys:
    """Every method raises StorageUnavailable if the database does not respond in time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[SigningKey]:
        """All keys, the oldest first."""
        async with self._database.session():
            return [_key(pair) for pair in await SigningKeyPair.all().order_by("created_at", "kid")]

    async def add_first_if_none(self, key: SigningKey) -> SigningKey:
        """Store `key` if there is none, and return the first stored key: concurrent processes agree on one."""
        async with self._database.transaction():
            await StoreIdentity.select_for_update().get()  # one at a time; on SQLite the transaction ensures that
            first = await SigningKeyPair.all().order_by("created_at", "kid").first()
            if first is not None:
                return _key(first)
            await _insert(key)
            return key

    async def add(self, key: SigningKey) -> None:
        """Store another key."""
        async with self._database.transaction():
            await _insert(key)

    async def rewrite(self, change: Callable[[SigningKey], SigningKey]) -> int:
        """Replace the private JWK of each key by that of `change`, all or none; returns how many have changed."""
        count = 0
        async with self._database.transaction():
            await StoreIdentity.select_for_update().get()
            for pair in await SigningKeyPair.all():
                key = _key(pair)
                if (changed := change(key)) != key:
                    await SigningKeyPair.filter(kid=key.kid).update(private_jwk=changed.private_jwk)
                    count += 1
        return count


class PublicSigningKeys:
    """The public part of the signing keys, from a view: its reader needs no right to read private keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[PublicSigningKey]:
        """All keys, the oldest first.

        Raises: StorageUnavailable.
        """
        rows = await self._database.fetch("SELECT jwk, created_at FROM public_signing_keys ORDER BY created_at, kid")
        return [PublicSigningKey(row["jwk"], _moment(row["created_at"])) for row in rows]


async def _insert(key: SigningKey) -> None:
    await SigningKeyPair.create(kid=key.kid, private_jwk=key.private_jwk, created_at=key.created_at)


def _key(pair: SigningKeyPair) -> SigningKey:
    return SigningKey(pair.kid, pair.private_jwk, pair.created_at)


def _moment(stored: datetime | str) -> datetime:
    """SQLite returns the text that Tortoise stored, in UTC."""
    moment = datetime.fromisoformat(stored) if isinstance(stored, str) else stored
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
