"""Signing keys whose private part is encrypted in the database.

Stored is a public JWK with the member `sealed`, which contains the sealed `d` (RFC 7518 §6.2.2.1). Gateways of a
version without encryption still verify with it, while they are being replaced.
"""

import logging
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from typing import Any, Final

import orjson

from auth.encryption.secret_box import SecretBox
from storage.auth_records import SigningKey
from storage.repositories.auth.keys import SigningKeys

log = logging.getLogger("auth")

_PRIVATE: Final = "d"
_SEALED: Final = "sealed"


class EncryptedKeys:
    """Implements `auth.tokens.key_ring.KeyStore`. Every method also raises CannotDecrypt for a key of another box."""

    def __init__(self, keys: SigningKeys, box: SecretBox) -> None:
        self._keys = keys
        self._box = box

    async def all(self) -> list[SigningKey]:
        """All keys, the oldest first. Those that a version without encryption has stored are encrypted before."""
        stored = await self._keys.all()
        if any(_PRIVATE in _members(key) for key in stored):
            count = await self._keys.rewrite(self._encrypted)
            log.info("signing_keys_encrypted", extra={"fields": {"count": count}})
            stored = await self._keys.all()
        return [self._decrypted(key) for key in stored]

    async def add_first_if_none(self, key: SigningKey) -> SigningKey:
        """Store `key` if there is none, and return the first stored key: concurrent processes agree on one."""
        return self._decrypted(await self._keys.add_first_if_none(self._encrypted(key)))

    async def add(self, key: SigningKey) -> None:
        """Store another key."""
        await self._keys.add(self._encrypted(key))

    def _encrypted(self, key: SigningKey) -> SigningKey:
        members = _members(key)
        if (private := members.pop(_PRIVATE, None)) is None:
            return key
        members[_SEALED] = self._box.seal(urlsafe_b64decode(private + "=="), _context(key))
        return replace(key, private_jwk=orjson.dumps(members).decode())

    def _decrypted(self, key: SigningKey) -> SigningKey:
        members = _members(key)
        if (sealed := members.pop(_SEALED, None)) is None:
            return key
        private = self._box.open(sealed, _context(key))
        members[_PRIVATE] = urlsafe_b64encode(private).rstrip(b"=").decode()
        return replace(key, private_jwk=orjson.dumps(members).decode())


def are_encrypted(keys: list[SigningKey]) -> bool:
    """Whether any of these stored keys is encrypted."""
    return any(_SEALED in _members(key) for key in keys)


def _members(key: SigningKey) -> dict[str, Any]:
    members: dict[str, Any] = orjson.loads(key.private_jwk)
    return members


def _context(key: SigningKey) -> str:
    return f"signing_keys.{key.kid}"
