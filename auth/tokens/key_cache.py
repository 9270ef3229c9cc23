"""The trusted public keys of one issuer, kept in memory.

Invariants: unknown kids cause at most one read of the keys a minute, however many arrive; at most one read runs at a
time, in its own task that ends within KEYS_TIMEOUT_S; a set that cannot be renewed stays in use, and after the first
failure a token whose key is in the set does not wait for the next attempt.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Generic, TypeVar

from auth.errors import InvalidToken, InvalidTokenReason, KeysUnavailable

KEYS_MAX_AGE_S: Final = 60.0  # within this, a retired key is rejected and a rotated one is known
UNKNOWN_KID_INTERVAL_S: Final = 60.0
RETRY_INTERVAL_S: Final = 2.0  # after a failed read of the keys, or while there are none
KEYS_TIMEOUT_S: Final = 2.0  # how long a token may wait for keys

log = logging.getLogger("auth")

K = TypeVar("K")

PublicKeys = Callable[[], Awaitable[Mapping[str, Any]]]
"""Reads the current JWKS document (RFC 7517 §5) from its source; may raise anything."""


class KeyCache(Generic[K]):
    """Keys by kid. `trusted` selects the keys of a document that may sign; it may raise anything for a bad document."""

    def __init__(
        self,
        read_keys: PublicKeys,
        trusted: Callable[[Mapping[str, Any]], dict[str, K]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read_keys = read_keys
        self._trusted = trusted
        self._monotonic = monotonic
        self._keys: dict[str, K] = {}
        self._reading: asyncio.Task[None] | None = None
        self._last_failed = False
        self._next_read = self._next_for_unknown = float("-inf")

    async def get(self, kid: str) -> K:
        """The key, after the set has been renewed if that was due.

        Raises: InvalidToken (UNKNOWN_KEY), KeysUnavailable.
        """
        looked = self._is_due(kid)
        if looked:
            reading = self._start_reading()
            if not (self._last_failed and kid in self._keys):
                await asyncio.wait([reading])  # a cancelled caller does not cancel the shared read
        if key := self._keys.get(kid):
            return key
        if self._last_failed:
            raise KeysUnavailable
        if looked:  # a kid that a fresh set lacks is probably junk and must not cause more reads for a while
            self._next_for_unknown = self._monotonic() + UNKNOWN_KID_INTERVAL_S
        raise InvalidToken(InvalidTokenReason.UNKNOWN_KEY)

    def _is_due(self, kid: str) -> bool:
        now = self._monotonic()
        if now >= self._next_read:
            return True
        if kid in self._keys:
            return False
        return self._reading is not None or (not self._last_failed and now >= self._next_for_unknown)

    def _start_reading(self) -> asyncio.Task[None]:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read(), name="auth-read-public-keys")
        return self._reading

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(KEYS_TIMEOUT_S):
                self._keys = self._trusted(await self._read_keys())
        except Exception as error:  # the source may be a database or a URL: all its failures mean the same here
            self._last_failed = True
            self._next_read = self._monotonic() + RETRY_INTERVAL_S
            log.warning("keys_unreadable", extra={"fields": {"error": type(error).__name__}})
        else:
            self._last_failed = False
            # while the issuer has no key, a request must not delay the reading of its first one
            self._next_read = self._monotonic() + (KEYS_MAX_AGE_S if self._keys else RETRY_INTERVAL_S)
        finally:
            self._reading = None
