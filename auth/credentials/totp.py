"""Setting up and removing a second factor, by a user who knows the password."""

import logging
from dataclasses import dataclass, field

from auth.accounts.devices import Devices
from auth.accounts.login_limits import Attempt
from auth.accounts.password_check import Limited, PasswordCheck, WrongCredentials
from auth.accounts.second_factor import (
    OtpRequired,
    Passed,
    SecondFactorCheck,
    WrongOtp,
    new_recovery_codes,
    new_secret,
    otpauth_url,
    recovery_digest,
)
from auth.accounts.store import AccountStore
from auth.tokens.access_tokens import Claims
from storage.auth_records import Account

log = logging.getLogger("auth")


@dataclass(frozen=True, slots=True)
class Started:
    """A secret that a code must confirm, and its otpauth URL."""

    secret: str = field(repr=False)
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Enabled:
    """Logins need a code from now on; the recovery codes are shown once."""

    recovery_codes: list[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class AlreadyEnabled:
    """The user has a second factor."""


@dataclass(frozen=True, slots=True)
class NotStarted:
    """The user has none, or none that waits for a code."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Logins need no code any more."""


FactorRefusal = WrongCredentials | Limited | WrongOtp | OtpRequired | NotStarted


class Totp:
    """The second factor of a user. Every method raises StorageUnavailable and Overloaded."""

    def __init__(
        self, accounts: AccountStore, check: PasswordCheck, factors: SecondFactorCheck, devices: Devices, issuer: str
    ) -> None:
        """`issuer` is the name that authenticators show."""
        self._accounts = accounts
        self._check = check
        self._factors = factors
        self._devices = devices
        self._issuer = issuer

    async def start(
        self, claims: Claims, password: str, address: str, device_token: str | None
    ) -> Started | AlreadyEnabled | FactorRefusal:
        """A new secret; an earlier one that is not confirmed is forgotten."""
        attempt = await self._attempt(claims, address, device_token)
        async with self._check.turn(attempt):
            account = await self._check.check(attempt, password, lambda: self._accounts.by_user_id(claims.user_id))
        if not isinstance(account, Account):
            return account
        secret = new_secret()
        if not await self._accounts.factors.start(claims.user_id, secret):
            return AlreadyEnabled()
        return Started(secret, otpauth_url(secret, account.person.username, self._issuer))

    async def confirm(self, claims: Claims, otp: str) -> Enabled | FactorRefusal:
        """Enable the second factor with a code of its secret."""
        if wait_s := await self._factors.count(claims.user_id):
            return Limited(wait_s)
        factor = await self._accounts.factors.find(claims.user_id)
        if factor is None or factor.is_confirmed:
            return NotStarted()
        step = self._factors.step_of(factor.secret, otp)
        if step is None:
            return WrongOtp()
        codes = new_recovery_codes()
        digests = [recovery_digest(code) for code in codes]
        if not await self._accounts.factors.confirm(claims.user_id, factor.secret, step, digests):
            return NotStarted()  # a concurrent request was faster
        log.info("second_factor_enabled", extra={"fields": {"user_id": claims.user_id}})
        return Enabled(codes)

    async def remove(
        self, claims: Claims, password: str, otp: str, address: str, device_token: str | None
    ) -> Removed | FactorRefusal:
        """Remove the second factor, with the password and a code."""
        attempt = await self._attempt(claims, address, device_token)
        async with self._check.turn(attempt):
            account = await self._check.check(attempt, password, lambda: self._accounts.by_user_id(claims.user_id))
            if not isinstance(account, Account):
                return account
            factor = await self._accounts.factors.find(claims.user_id)
            if factor is None or not factor.is_confirmed:
                return NotStarted()
            outcome = await self._factors.check(claims.user_id, otp)
            if isinstance(outcome, WrongOtp):
                failure = await self._check.fail(attempt, account)
                return failure if isinstance(failure, Limited) else outcome
        if not isinstance(outcome, Passed):
            return outcome
        await self._accounts.factors.remove(claims.user_id)
        log.info("second_factor_removed", extra={"fields": {"user_id": claims.user_id, "address": address}})
        return Removed()

    async def _attempt(self, claims: Claims, address: str, device_token: str | None) -> Attempt:
        return Attempt(claims.username, address, await self._devices.id_of(device_token, claims.username))
