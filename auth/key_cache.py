"""The trusted public keys of one issuer, kept in memory.

Invariants: unknown kids cost at most one read of the keys a minute, however many arrive; at most one read is under way,
in a task of its own that ends within KEYS_TIMEOUT_S; a set that cannot be renewed stays in use, and after
the first failure nobody whose key is in it waits for the next attempt.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Generic, TypeVar

from auth.errors import InvalidToken, KeysUnavailable, Reason

KEYS_MAX_AGE_S: Final = 60.0  # a retired key is refused, and a rotated one known, within this
UNKNOWN_KID_INTERVAL_S: Final = 60.0
RETRY_INTERVAL_S: Final = 2.0  # after a read of the keys that failed
KEYS_TIMEOUT_S: Final = 2.0  # how long a token may wait for keys

log = logging.getLogger("auth")

K = TypeVar("K")

PublicKeys = Callable[[], Awaitable[Mapping[str, Any]]]
"""Reads the current JWKS document (RFC 7517 §5) from wherever the keys are; may raise anything."""


class KeyCache(Generic[K]):
    """Keys by kid. `trusted` picks those of a document that may sign, and may raise anything for a bad one."""

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
        """The key, once the set has been renewed if that was due.

        Raises: InvalidToken (UNKNOWN_KEY), KeysUnavailable.
        """
        looked = self._is_due(kid)
        if looked:
            reading = self._start_reading()
            if not (self._last_failed and kid in self._keys):
                await asyncio.wait([reading])  # a caller that is cancelled leaves the read to the others
        if key := self._keys.get(kid):
            return key
        if self._last_failed:
            raise KeysUnavailable
        if looked:  # a kid that a fresh set does not have is probably junk: let it cost no more reads for a while
            self._next_for_unknown = self._monotonic() + UNKNOWN_KID_INTERVAL_S
        raise InvalidToken(Reason.UNKNOWN_KEY)

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
            self._next_read = self._monotonic() + KEYS_MAX_AGE_S
        finally:
            self._reading = None
