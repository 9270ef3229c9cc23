"""Signing keys, shared by all processes of the auth service."""

from storage.database.database import Database
from storage.models import SigningKeyPair, StoreIdentity
from storage.records import SigningKey


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


async def _insert(key: SigningKey) -> None:
    await SigningKeyPair.create(kid=key.kid, private_jwk=key.private_jwk, created_at=key.created_at)


def _key(pair: SigningKeyPair) -> SigningKey:
    return SigningKey(pair.kid, pair.private_jwk, pair.created_at)
