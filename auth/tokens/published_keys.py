"""Which keys are published: those that sign or will sign, and a retired one while a token that it signed may live."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol, TypeVar

import orjson

from auth.tokens.jws import LEEWAY_S
from auth.tokens.key_cache import KEYS_MAX_AGE_S
from storage.auth_records import PublicSigningKey

PUBLISH_AHEAD_S: Final = 2 * KEYS_MAX_AGE_S
"""How long a key is published before it signs."""


class Dated(Protocol):
    """A key with the time of its creation."""

    @property
    def created_at(self) -> datetime: ...  # noqa: D102


K = TypeVar("K", bound=Dated)


def published(keys: Sequence[K], longest_token_s: int, now: datetime) -> list[K]:
    """The published ones of all keys, which are given oldest first; newest first."""
    overlap = timedelta(seconds=PUBLISH_AHEAD_S + longest_token_s + LEEWAY_S)
    retired = sum(successor.created_at + overlap < now for successor in keys[1:])
    return list(reversed(keys[retired:]))


class PublicKeyStore(Protocol):
    """Implemented by `storage.repositories.auth.keys.PublicSigningKeys`."""

    async def all(self) -> Sequence[PublicSigningKey]:
        """Every key, the oldest first. Raises: StorageUnavailable."""
        ...


class PublishedKeys:
    """The published keys, for a process that verifies and does not sign: it neither needs nor reads private keys."""

    def __init__(
        self, store: PublicKeyStore, longest_token_s: int, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._store = store
        self._longest_token_s = longest_token_s
        self._now = now

    async def jwks(self) -> dict[str, Any]:
        """A JWK Set (RFC 7517 §5), newest first; empty until auth has created the first key.

        Raises: StorageUnavailable.
        """
        keys = published(await self._store.all(), self._longest_token_s, self._now())
        return {"keys": [orjson.loads(key.jwk) for key in keys]}
