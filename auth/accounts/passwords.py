"""Password hashing: argon2id off the event loop, a bounded number at a time (each costs 19 MiB and some 20 ms of CPU).

An unknown user costs the same as a known one: `verify` without a hash checks a dummy.
"""

import os
import secrets
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from auth.accounts.thread_pool import Workers

T = TypeVar("T")

# OWASP Password Storage Cheat Sheet, argon2id: m = 19 MiB, t = 2, p = 1.
_OWASP: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
MOST_THREADS: Final = 8  # a container sees all cores of its host, and each thread needs memory
WAITING: Final = 256  # about five seconds of work on one core: many users may log in at once


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the password is right. If it is and the parameters of its hash are outdated, `new_hash` replaces it."""

    matches: bool
    new_hash: str | None = None


class Passwords:
    """Hashes and verifies in its own threads; by default one core is left to the event loop.

    `on_hashed` gets the seconds that each call took, including the wait for a thread.
    """

    def __init__(
        self,
        hasher: PasswordHasher = _OWASP,
        *,
        threads: int | None = None,
        waiting: int = WAITING,
        on_hashed: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._hasher = hasher
        self._on_hashed = on_hashed
        spare_cores = (os.cpu_count() or 1) - 1
        threads = threads or min(MOST_THREADS, max(1, spare_cores))
        self._workers = Workers("password", threads=threads, waiting=waiting)
        self._dummy = hasher.hash(secrets.token_urlsafe(16))

    async def hash(self, password: str) -> str:
        """The PHC string to store.

        Raises: Overloaded.
        """
        return await self._run(lambda: self._hasher.hash(_normal(password)))

    async def verify(self, password: str, stored: str | None) -> Verdict:
        """Check against the stored hash; None (an unknown user) takes as long and never matches.

        Raises: Overloaded.
        """
        return await self._run(lambda: self._verify(_normal(password), stored))

    @property
    def under_way(self) -> int:
        """Number of calls that run or wait for a thread."""
        return self._workers.under_way

    async def _run(self, call: Callable[[], T]) -> T:
        started = time.perf_counter()
        answer = await self._workers.run(call)
        self._on_hashed(time.perf_counter() - started)
        return answer

    def close(self) -> None:
        """Release the threads."""
        self._workers.close()

    def _verify(self, password: str, stored: str | None) -> Verdict:
        try:
            self._hasher.verify(self._dummy if stored is None else stored, password)
        except (VerificationError, ValueError):  # ValueError: the stored text is no hash
            return Verdict(matches=False)
        if stored is None:
            return Verdict(matches=False)
        outdated = self._hasher.check_needs_rehash(stored)
        return Verdict(matches=True, new_hash=self._hasher.hash(password) if outdated else None)


def _normal(password: str) -> str:
    """The same text for equivalent input of different keyboards (RFC 8265 §4.2.2: NFC)."""
    return unicodedata.normalize("NFC", password)
