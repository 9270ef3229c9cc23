"""Logging in: a login and a password against an access token, with failures limited."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from auth.accounts import Accounts
from auth.attempts import LoginLimits
from auth.errors import Overloaded
from auth.events import LoginResult
from auth.keys import KeyRing
from auth.passwords import Passwords
from auth.rules import is_login
from auth.tokens import Issuer
from storage.errors import StorageUnavailable
from storage.records import Account

log = logging.getLogger("auth")


@dataclass(frozen=True, slots=True)
class Granted:
    """The password was right."""

    access_token: str
    expires_in_s: int


@dataclass(frozen=True, slots=True)
class WrongCredentials:
    """No such login, or not its password: the two are not told apart, in time neither."""


@dataclass(frozen=True, slots=True)
class Limited:
    """Too many failures of this account or from this address; come back in `wait_s`."""

    wait_s: float


LoginOutcome = Granted | WrongCredentials | Limited
_RESULTS: dict[type[LoginOutcome], LoginResult] = {Granted: "granted", WrongCredentials: "wrong", Limited: "limited"}


class Login:
    """The one way to an access token, whatever format the question came in."""

    def __init__(
        self,
        accounts: Accounts,
        passwords: Passwords,
        limits: LoginLimits,
        keys: KeyRing,
        issuer: Issuer,
        on_result: Callable[[LoginResult], None] = lambda _: None,
    ) -> None:
        self._accounts = accounts
        self._passwords = passwords
        self._limits = limits
        self._keys = keys
        self._issuer = issuer
        self._on_result = on_result

    async def attempt(self, login: str, password: str, address: str) -> LoginOutcome:
        """Check the password, and issue a token if it is right.

        The limits are asked again after the check: guesses that were all sent at once learn nothing beyond the limit.

        Raises: StorageUnavailable, Overloaded.
        """
        try:
            outcome = await self._attempt(login, password, address)
        except StorageUnavailable:
            self._on_result("unavailable")
            raise
        except Overloaded:
            self._on_result("overloaded")
            raise
        self._on_result(_RESULTS[type(outcome)])
        return outcome

    async def _attempt(self, login: str, password: str, address: str) -> LoginOutcome:
        if wait_s := await self._limits.wait_s(login, address):
            return self._limited(wait_s, address)
        # What can be no login is not looked up (it may hold what a database refuses), but takes as long.
        account = await self._accounts.by_login(login) if is_login(login) else None
        verdict = await self._passwords.verify(password, account.password_hash if account else None)
        if account is None or not verdict.matches:
            if wait_s := await self._limits.fail(login, address):
                return self._limited(wait_s, address)
            log.info(
                "login_failed",
                extra={"fields": {"user_id": account.person.id if account else None, "address": address}},
            )
            return WrongCredentials()
        if wait_s := await self._limits.wait_s(login, address):
            return self._limited(wait_s, address)
        if verdict.new_hash:
            await self._renew_hash(account, verdict.new_hash)
        token = self._issuer.issue(await self._keys.signing_key(), account.person.id, account.person.username)
        log.info("login_succeeded", extra={"fields": {"user_id": account.person.id, "address": address}})
        return Granted(token, self._issuer.lifetime_s)

    def _limited(self, wait_s: float, address: str) -> Limited:
        log.warning("login_limited", extra={"fields": {"address": address, "wait_s": round(wait_s, 1)}})
        return Limited(wait_s)

    async def _renew_hash(self, account: Account, new_hash: str) -> None:
        try:
            await self._accounts.set_password_hash(account.person.id, new_hash)
        except StorageUnavailable:  # the old hash is still good; the next login tries again
            log.warning("rehash_failed", extra={"fields": {"user_id": account.person.id}})
