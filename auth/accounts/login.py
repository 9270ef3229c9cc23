"""Login: verifies a login and a password, issues an access token and limits failures."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from auth.accounts.devices import Devices
from auth.accounts.login_limits import Attempt
from auth.accounts.password_check import Limited, PasswordCheck, WrongCredentials
from auth.accounts.rules import is_login
from auth.accounts.second_factor import OtpRequired, Passed, SecondFactorCheck, WrongOtp
from auth.accounts.sessions import Banned, Sessions, Tokens
from auth.accounts.store import AccountStore
from auth.errors import Overloaded
from auth.events import LoginResult
from httpapi.audit.facts import note, note_user
from storage.auth_records import Account
from storage.errors import StorageUnavailable

log = logging.getLogger("auth")


@dataclass(frozen=True, slots=True)
class Granted:
    """The password was right."""

    tokens: Tokens
    device_token: str
    """For a cookie of the browser: see `auth.accounts.devices`."""


LoginOutcome = Granted | WrongCredentials | Limited | Banned | OtpRequired | WrongOtp
_RESULTS: dict[type[LoginOutcome], LoginResult] = {
    Granted: "granted",
    WrongCredentials: "wrong",
    Limited: "limited",
    Banned: "banned",
    OtpRequired: "otp_required",
    WrongOtp: "wrong",
}


class Login:
    """Issues access tokens for passwords, for every format of request."""

    def __init__(
        self,
        accounts: AccountStore,
        check: PasswordCheck,
        factors: SecondFactorCheck,
        devices: Devices,
        sessions: Sessions,
        on_result: Callable[[LoginResult], None] = lambda _: None,
    ) -> None:
        self._accounts = accounts
        self._check = check
        self._factors = factors
        self._devices = devices
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
        otp: str = "",
        user_agent: str = "",
    ) -> LoginOutcome:
        """Check the password and, of a user with a second factor, the code; and issue tokens if both are right.

        A refresh token is issued only if `renewable`.

        Raises: StorageUnavailable, Overloaded.
        """
        try:
            attempt = Attempt(login, address, await self._devices.id_of(device_token, login))
            async with self._check.turn(attempt):
                outcome = await self._attempt(attempt, password, otp, renewable, user_agent)
        except StorageUnavailable:
            self._on_result("unavailable")
            raise
        except Overloaded:
            self._on_result("overloaded")
            raise
        self._on_result(_RESULTS[type(outcome)])
        return outcome

    async def _attempt(
        self, attempt: Attempt, password: str, otp: str, renewable: bool, user_agent: str
    ) -> LoginOutcome:
        account = await self._check.check(attempt, password, lambda: self._account(attempt.login))
        if not isinstance(account, Account):
            return account
        outcome = await self._factors.check(account.person.id, otp)
        if isinstance(outcome, WrongOtp):
            failure = await self._check.fail(attempt, account)
            return failure if isinstance(failure, Limited) else outcome
        if not isinstance(outcome, Passed):
            return outcome
        fields = {"user_id": account.person.id, "address": attempt.address}
        tokens = await self._sessions.start(account.person, renewable=renewable, user_agent=user_agent)
        if isinstance(tokens, Banned):
            note(reason="banned")
            log.info("login_banned", extra={"fields": fields})
            return tokens
        latest = await self._accounts.by_user_id(account.person.id)
        if latest is None or latest.password_hash != account.password_hash:  # changed since it was verified
            await self._sessions.discard(account.person.id, tokens)
            return WrongCredentials()
        note_user(account.person.id)
        log.info("login_succeeded", extra={"fields": fields})
        return Granted(tokens, await self._devices.token(attempt.login, attempt.device))

    async def _account(self, login: str) -> Account | None:
        # What can be no login is not looked up (it may hold what a database refuses), but takes as long.
        return await self._accounts.by_login(login) if is_login(login) else None
