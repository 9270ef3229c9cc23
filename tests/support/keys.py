"""Encrypted signing keys as the program stores them, for tests that issue tokens themselves."""

from auth.encryption.data_key import open_data_key
from auth.encryption.signing_keys import EncryptedKeys
from storage.database.database import Database
from storage.repositories.auth.data_keys import DataKeys
from storage.repositories.auth.keys import SigningKeys

KEYS_SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f0-of-tests"
"""What every process of a test gets, unless it says otherwise."""


async def encrypted_keys(database: Database, *secrets: str) -> EncryptedKeys:
    """The key store of a process with these secrets, the first one being the current one."""
    box = await open_data_key(DataKeys(database), secrets or [KEYS_SECRET], may_create=True)
    return EncryptedKeys(SigningKeys(database), box)
