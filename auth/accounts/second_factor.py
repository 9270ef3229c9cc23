"""One-time codes as a second factor (TOTP, RFC 6238: SHA-1, 6 digits, 30 s), and recovery codes in their place.

A code is accepted within the step before or after the current one, and once: with it, it and all earlier ones are used
up. The code is checked after the password, so strangers cannot use up the limit of a user's attempts.
"""

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from auth.accounts.counters import Counters, Limit
from auth.accounts.password_check import Limited
from auth.accounts.store import FactorStore

DIGITS: Final = 6
STEP_S: Final = 30
SECRET_BYTES: Final = 20  # RFC 4226 §4, R6
RECOVERY_CODES: Final = 10
ATTEMPTS_PER_HOUR: Final = 30
"""Codes of one user that are checked, right or wrong: guesses succeed with a probability of 1:11,000 in an hour."""
MAX_LENGTH: Final = 64
_RECOVERY: Final = re.compile("[A-Z2-7]{16}")


@dataclass(frozen=True, slots=True)
class Passed:
    """The code is right, or the user has no second factor."""


@dataclass(frozen=True, slots=True)
class OtpRequired:
    """The user has a second factor, and no code was given."""


@dataclass(frozen=True, slots=True)
class WrongOtp:
    """The code is wrong, or used."""


FactorOutcome = Passed | OtpRequired | WrongOtp | Limited


class SecondFactorCheck:
    """Checks codes."""

    def __init__(
        self,
        store: FactorStore,
        counters: Counters,
        on_limited: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._counters = counters
        self._on_limited = on_limited
        self._now = now

    async def check(self, user_id: int, otp: str) -> FactorOutcome:
        """Check a code of a user, and use it up.

        Raises: StorageUnavailable.
        """
        factor = await self._store.find(user_id)
        if factor is None or not factor.is_confirmed:
            return Passed()
        if not otp:
            return OtpRequired()
        if wait_s := await self.count(user_id):
            return Limited(wait_s)
        if step := self.step_of(factor.secret, otp):
            return Passed() if await self._store.use_step(user_id, step) else WrongOtp()
        code = _normal(otp)
        if _RECOVERY.fullmatch(code) and await self._store.use_recovery_code(user_id, recovery_digest(code)):
            return Passed()
        return WrongOtp()

    async def count(self, user_id: int) -> float:
        """Count an attempt; the seconds to wait if it is refused, else 0.0."""
        wait_s = await self._counters.count(Limit(f"otp:user:{user_id}", ATTEMPTS_PER_HOUR, 3600))
        if wait_s:
            self._on_limited()
        return wait_s

    def step_of(self, secret: str, otp: str) -> int | None:
        """The time step, around the current one, whose code this is."""
        given = otp.replace(" ", "")[:MAX_LENGTH].encode("utf-8", "surrogatepass")
        now = int(self._now()) // STEP_S
        steps = (now - 1, now, now + 1)
        found = [step for step in steps if hmac.compare_digest(code_at(secret, step), given)]
        return found[-1] if found else None


def code_at(secret: str, step: int) -> bytes:
    """The code of a time step, as digits."""
    return _totp(secret).generate(step * STEP_S)


def new_secret() -> str:
    """A secret in base32, as authenticators show it."""
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()


def otpauth_url(secret: str, login: str, issuer: str) -> str:
    """The URL that authenticators read as a QR code."""
    return _totp(secret).get_provisioning_uri(login, issuer)


def new_recovery_codes() -> list[str]:
    """Codes of 80 random bits."""
    codes = [base64.b32encode(secrets.token_bytes(10)).decode() for _ in range(RECOVERY_CODES)]
    return ["-".join(code[place : place + 4] for place in range(0, 16, 4)) for code in codes]


def recovery_digest(code: str) -> str:
    """The form in which a recovery code is stored; spaces, dashes and letter case do not matter."""
    return hashlib.sha256(_normal(code).encode("utf-8", "surrogatepass")).hexdigest()


def _totp(secret: str) -> TOTP:
    return TOTP(base64.b32decode(secret), DIGITS, SHA1(), STEP_S)  # noqa: S303 - HMAC; authenticators know no other


def _normal(code: str) -> str:
    return code[:MAX_LENGTH].replace("-", "").replace(" ", "").upper()
