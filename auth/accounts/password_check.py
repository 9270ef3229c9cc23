"""The check of an account's password within the limits on failures, for logins and for changes of an account."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from auth.accounts import login_limits
from auth.accounts.login_limits import Attempt, LoginLimits
from auth.accounts.passwords import Passwords
from auth.accounts.store import AccountStore
from auth.errors import Overloaded
from httpapi.audit.facts import note
from httpapi.caller_turns import CallerTurns
from httpapi.errors import TooManyAtOnce
from storage.auth_records import Account
from storage.errors import StorageUnavailable

log = logging.getLogger("auth")

AT_ONCE: Final = 4
"""Attempts of one client that run at once: those sent together are counted before the next ones are hashed."""
WAITING_PER_CLIENT: Final = 200
WAITING: Final = 2_000
"""Attempts of all clients that run or wait."""


@dataclass(frozen=True, slots=True)
class WrongCredentials:
    """Unknown login or wrong password. A client cannot distinguish the two, not even by the response time."""


@dataclass(frozen=True, slots=True)
class Limited:
    """Too many attempts of this client; it may try again in `wait_s`."""

    wait_s: float


class PasswordCheck:
    """Checks passwords; every failure counts towards the limits of logins."""

    def __init__(self, accounts: AccountStore, passwords: Passwords, limits: LoginLimits) -> None:
        self._accounts = accounts
        self._passwords = passwords
        self._limits = limits
        self._turns = CallerTurns(at_once=AT_ONCE, per_caller=WAITING_PER_CLIENT, total=WAITING)

    @asynccontextmanager
    async def turn(self, attempt: Attempt) -> AsyncIterator[None]:
        """One of the attempts of this client that run at once; inside, `check` is called.

        Raises: Overloaded.
        """
        try:
            async with self._turns.turn(attempt.client):
                yield
        except TooManyAtOnce:
            raise Overloaded from None

    async def check(
        self, attempt: Attempt, password: str, find: Callable[[], Awaitable[Account | None]]
    ) -> Account | WrongCredentials | Limited:
        """The account, if the password is right; `find` looks it up and is called within the limits only.

        Its hash may have been replaced meanwhile: a caller that acts on the result compares it once more.

        The limits are checked again after the password: guesses that were all sent at once learn nothing beyond them.

        Raises: StorageUnavailable, Overloaded.
        """
        allowed = await self._limits.check(attempt)
        if allowed.wait_s:
            return limited(allowed.wait_s, attempt.address)
        if allowed.is_delayed:
            await asyncio.sleep(login_limits.DELAY_S)
        account = await find()
        if account is not None:
            note(user_id=account.person.id, login=account.person.username)
        verdict = await self._passwords.verify(password, account.password_hash if account else None)
        if account is None or not verdict.matches:
            return await self.fail(attempt, account)
        if wait_s := await self._limits.wait_s(attempt):
            return limited(wait_s, attempt.address)
        return await self._rehashed(account, password, verdict.new_hash) if verdict.new_hash else account

    async def fail(self, attempt: Attempt, account: Account | None) -> WrongCredentials | Limited:
        """Count a failure."""
        if wait_s := await self._limits.fail(attempt):
            return limited(wait_s, attempt.address)
        note(reason="unknown_login" if account is None else "wrong_password")
        fields = {"user_id": account.person.id if account else None, "address": attempt.address}
        log.info("login_failed", extra={"fields": fields})
        return WrongCredentials()

    async def _rehashed(self, account: Account, password: str, new_hash: str) -> Account:
        """The account with the hash that replaces its outdated one."""
        user_id = account.person.id
        try:
            if await self._accounts.replace_hash(user_id, account.password_hash, new_hash):
                return Account(account.person, new_hash)
            latest = await self._accounts.by_user_id(user_id)  # a concurrent login or change was faster
            if latest is not None and (await self._passwords.verify(password, latest.password_hash)).matches:
                return latest
        except StorageUnavailable:  # the old hash is still good; the next login tries again
            log.warning("rehash_failed", extra={"fields": {"user_id": user_id}})
        return account


def limited(wait_s: float, address: str) -> Limited:
    """Log and return a refusal."""
    note(reason="limited")
    log.warning("login_limited", extra={"fields": {"address": address, "wait_s": round(wait_s, 1)}})
    return Limited(wait_s)
