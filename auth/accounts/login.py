"""Login: verifies a login and a password, issues an access token and limits failures."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from auth.accounts import login_limits
from auth.accounts.devices import Devices
from auth.accounts.login_limits import Attempt, LoginLimits
from auth.accounts.passwords import Passwords
from auth.accounts.rules import is_login
from auth.accounts.sessions import Banned, Sessions, Tokens
from auth.accounts.store import AccountStore
from auth.errors import Overloaded
from auth.events import LoginResult
from httpapi.audit.facts import note, note_user
from httpapi.caller_turns import CallerTurns
from httpapi.errors import TooManyAtOnce
from storage.errors import StorageUnavailable
from storage.records import Account

log = logging.getLogger("auth")

AT_ONCE: Final = 4
"""Attempts of one client that run at once: those sent together are counted before the next ones are hashed."""
WAITING_PER_CLIENT: Final = 200
WAITING: Final = 2_000
"""Attempts of all clients that run or wait."""


@dataclass(frozen=True, slots=True)
class Granted:
    """The password was right."""

    tokens: Tokens
    device_token: str
    """For a cookie of the browser: see `auth.accounts.devices`."""


@dataclass(frozen=True, slots=True)
class WrongCredentials:
    """Unknown login or wrong password. A client cannot distinguish the two, not even by the response time."""


@dataclass(frozen=True, slots=True)
class Limited:
    """Too many failures of this client; it may try again in `wait_s`."""

    wait_s: float


LoginOutcome = Granted | WrongCredentials | Limited | Banned
_RESULTS: dict[type[LoginOutcome], LoginResult] = {
    Granted: "granted",
    WrongCredentials: "wrong",
    Limited: "limited",
    Banned: "banned",
}


class Login:
    """Issues access tokens for passwords, for every format of request."""

    def __init__(
        self,
        accounts: AccountStore,
        passwords: Passwords,
        limits: LoginLimits,
        devices: Devices,
        sessions: Sessions,
        on_result: Callable[[LoginResult], None] = lambda _: None,
    ) -> None:
        self._accounts = accounts
        self._passwords = passwords
        self._limits = limits
        self._devices = devices
        self._turns = CallerTurns(at_once=AT_ONCE, per_caller=WAITING_PER_CLIENT, total=WAITING)
        self._sessions = sessions
        self._on_result = on_result

    async def attempt(
        self,
        login: str,
        password: str,
        address: str,
        device_token: str | None = None,
        *,
        renewable: bool = False,
    ) -> LoginOutcome:
        """Check the password, and issue tokens if it is right; a refresh token only if `renewable`.

        The limits are checked again after the password: guesses that were all sent at once learn nothing beyond them.

        Raises: StorageUnavailable, Overloaded.
        """
        try:
            attempt = Attempt(login, address, await self._devices.id_of(device_token, login))
            async with self._turns.turn(attempt.client):
                outcome = await self._attempt(attempt, password, renewable)
        except TooManyAtOnce:
            self._on_result("overloaded")
            raise Overloaded from None
        except StorageUnavailable:
            self._on_result("unavailable")
            raise
        except Overloaded:
            self._on_result("overloaded")
            raise
        self._on_result(_RESULTS[type(outcome)])
        return outcome

    async def _attempt(self, attempt: Attempt, password: str, renewable: bool) -> LoginOutcome:
        login, address = attempt.login, attempt.address
        allowed = await self._limits.check(attempt)
        if allowed.wait_s:
            return self._limited(allowed.wait_s, address)
        if allowed.is_delayed:
            await asyncio.sleep(login_limits.DELAY_S)
        # What can be no login is not looked up (it may hold what a database refuses), but takes as long.
        account = await self._accounts.by_login(login) if is_login(login) else None
        if account is not None:
            note(user_id=account.person.id, login=account.person.username)
        verdict = await self._passwords.verify(password, account.password_hash if account else None)
        if account is None or not verdict.matches:
            if wait_s := await self._limits.fail(attempt):
                return self._limited(wait_s, address)
            note(reason="unknown_login" if account is None else "wrong_password")
            log.info(
                "login_failed",
                extra={"fields": {"user_id": account.person.id if account else None, "address": address}},
            )
            return WrongCredentials()
        if wait_s := await self._limits.wait_s(attempt):
            return self._limited(wait_s, address)
        if verdict.new_hash:
            await self._renew_hash(account, verdict.new_hash)
        tokens = await self._sessions.start(account.person, renewable=renewable)
        if isinstance(tokens, Banned):
            note(reason="banned")
            log.info("login_banned", extra={"fields": {"user_id": account.person.id, "address": address}})
            return tokens
        note_user(account.person.id)
        log.info("login_succeeded", extra={"fields": {"user_id": account.person.id, "address": address}})
        return Granted(tokens, await self._devices.token(login, attempt.device))

    def _limited(self, wait_s: float, address: str) -> Limited:
        note(reason="limited")
        log.warning("login_limited", extra={"fields": {"address": address, "wait_s": round(wait_s, 1)}})
        return Limited(wait_s)

    async def _renew_hash(self, account: Account, new_hash: str) -> None:
        try:
            await self._accounts.set_password_hash(account.person.id, new_hash)
        except StorageUnavailable:  # the old hash is still good; the next login tries again
            log.warning("rehash_failed", extra={"fields": {"user_id": account.person.id}})
