"""The change of a password by its owner, who knows the current one."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from auth.accounts.counters import Counters, Limit
from auth.accounts.devices import Devices
from auth.accounts.login_limits import Attempt
from auth.accounts.password_check import Limited, PasswordCheck, WrongCredentials
from auth.accounts.passwords import Passwords
from auth.accounts.rules import broken_by_password
from auth.accounts.store import AccountStore
from auth.events import PasswordResult
from auth.tokens.access_tokens import Claims
from httpapi.errors import BrokenRule
from storage.auth_records import Account

log = logging.getLogger("auth")

CHANGES_PER_HOUR: Final = 20
"""Attempts of one user with a valid new password; each change adds a row to the log of revocations."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The new password counts, and all other sessions have ended."""


ChangeOutcome = Changed | WrongCredentials | Limited | list[BrokenRule]


class PasswordChange:
    """Replaces passwords; guesses of the current one count as failed logins."""

    def __init__(
        self,
        accounts: AccountStore,
        check: PasswordCheck,
        passwords: Passwords,
        devices: Devices,
        counters: Counters,
        on_result: Callable[[PasswordResult], None] = lambda _: None,
    ) -> None:
        self._accounts = accounts
        self._check = check
        self._passwords = passwords
        self._devices = devices
        self._counters = counters
        self._on_result = on_result

    async def change(
        self, claims: Claims, current: str, new: str, address: str, device_token: str | None
    ) -> ChangeOutcome:
        """Replace the password of the token's user, and end all its sessions except the token's.

        Raises: StorageUnavailable, Overloaded.
        """
        if broken := list(broken_by_password(new, claims.username, "new_password")):
            return broken
        limit = Limit(f"password:user:{claims.user_id}", CHANGES_PER_HOUR, 3600)
        if wait_s := await self._counters.count(limit):
            return self._finished(Limited(wait_s))
        device = await self._devices.id_of(device_token, claims.username)
        attempt = Attempt(claims.username, address, device)
        async with self._check.turn(attempt):
            return self._finished(await self._changed(attempt, claims, current, new))

    async def _changed(self, attempt: Attempt, claims: Claims, current: str, new: str) -> ChangeOutcome:
        account = await self._check.check(attempt, current, lambda: self._accounts.by_user_id(claims.user_id))
        if not isinstance(account, Account):
            return account
        new_hash = await self._passwords.hash(new)
        is_changed = await self._accounts.change_password(
            claims.user_id, account.password_hash, new_hash, session_id=claims.session_id, jti=claims.jti
        )
        if not is_changed:  # a concurrent change was faster: this password is no longer the current one
            return WrongCredentials()
        log.info("password_changed", extra={"fields": {"user_id": claims.user_id, "address": attempt.address}})
        return Changed()

    def _finished(self, outcome: ChangeOutcome) -> ChangeOutcome:
        match outcome:
            case Changed():
                self._on_result("changed")
            case WrongCredentials():
                self._on_result("wrong")
            case Limited():
                self._on_result("limited")
        return outcome
