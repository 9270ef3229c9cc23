"""The key ring: ES256 signing keys, kept in the database so that every process signs and verifies with the same ones.

Invariants:
1. Processes that start at once on an empty database agree on one first key.
2. A key is public for PUBLISH_AHEAD_S before it signs, longer than any verifier keeps its set, so a rotation rejects
   no valid token; a retired key stays public for as long as a token that it signed may live, and no longer.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import orjson
from joserfc.jwk import ECKey

from auth.tokens.access_tokens import ALGORITHM
from auth.tokens.published_keys import PUBLISH_AHEAD_S, published
from storage.auth_records import SigningKey

REREAD_S: Final = 5.0  # how far the ring may lag behind the database


class KeyStore(Protocol):
    """The stored key pairs. `auth.encryption.signing_keys` implements it. Every method raises StorageUnavailable."""

    async def all(self) -> Sequence[SigningKey]:
        """Every key, in any order."""
        ...

    async def add_first_if_none(self, key: SigningKey) -> SigningKey:
        """Store the key if there is none, and return the first stored key: concurrent callers get the same one."""
        ...

    async def add(self, key: SigningKey) -> None:
        """Store one more key."""
        ...


@dataclass(frozen=True, slots=True)
class _Pair:
    created_at: datetime
    key: ECKey


class KeyRing:
    """The keys as this process sees them, at most REREAD_S old."""

    def __init__(
        self,
        store: KeyStore,
        longest_token_s: int,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._longest_token_s = longest_token_s
        self._now = now
        self._monotonic = monotonic
        self._pairs: list[_Pair] = []  # oldest first
        self._reread_at = float("-inf")

    async def signing_key(self) -> ECKey:
        """The newest key that has been published for PUBLISH_AHEAD_S; creates the first key if there is none.

        Raises: StorageUnavailable.
        """
        pairs = await self._current()
        seasoned_at = self._now() - timedelta(seconds=PUBLISH_AHEAD_S)
        seasoned = [pair for pair in pairs if pair.created_at <= seasoned_at]
        return (seasoned[-1] if seasoned else pairs[0]).key

    async def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK Set (RFC 7517 §5), newest first; creates the first key if there is none.

        Raises: StorageUnavailable.
        """
        pairs = published(await self._current(), self._longest_token_s, self._now())
        return {"keys": [pair.key.as_dict(private=False) for pair in pairs]}

    async def rotate(self) -> str:
        """Add a key, which signs after PUBLISH_AHEAD_S; returns its kid.

        Raises: StorageUnavailable.
        """
        await self._current()
        key = self._new_key()
        await self._store.add(key)
        self._reread_at = float("-inf")
        return key.kid

    async def _current(self) -> list[_Pair]:
        if self._monotonic() >= self._reread_at:
            stored = await self._store.all() or [await self._store.add_first_if_none(self._new_key())]
            self._pairs = [
                _Pair(key.created_at, ECKey.import_key(orjson.loads(key.private_jwk)))
                for key in sorted(stored, key=lambda key: (key.created_at, key.kid))
            ]
            self._reread_at = self._monotonic() + REREAD_S
        return self._pairs

    def _new_key(self) -> SigningKey:
        key = ECKey.generate_key("P-256", {"use": "sig", "alg": ALGORITHM}, auto_kid=True)
        private_jwk = orjson.dumps(key.as_dict(private=True)).decode()
        return SigningKey(kid=key.thumbprint(), private_jwk=private_jwk, created_at=self._now())
