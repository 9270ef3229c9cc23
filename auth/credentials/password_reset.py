"""The reset of a forgotten password by a one-use token, which the operator's hook sends to the owner of the account.

A request only joins a queue: its response and its time are the same whether or not the account exists.
"""

import asyncio
import hashlib
import logging
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from auth.accounts.counters import MINUTE_S, Counters, Limit
from auth.accounts.login_limits import PER_CLIENT, login_digest
from auth.accounts.password_check import Limited
from auth.accounts.passwords import Passwords
from auth.accounts.rules import broken_by_password, is_login
from auth.accounts.store import AccountStore
from auth.credentials.password_change import Changed
from auth.errors import HookFailed, Overloaded
from auth.events import SILENT, AuthEvents
from httpapi.audit.facts import note
from httpapi.client_address import networks_of
from httpapi.errors import BrokenRule
from storage.auth_records import Account
from storage.errors import StorageUnavailable

log = logging.getLogger("auth")

LIFETIME_S: Final = 30 * 60
WAITING: Final = 1_000
"""Requests in the queue; any further one is rejected."""
WORKERS: Final = 4
ATTEMPTS: Final = 5
LONGEST_PAUSE_S: Final = 20.0
PER_ACCOUNT_AND_HOUR: Final = 5
"""Requests for one login, whether or not an account has it: the limit of mails to one owner."""
CONFIRMS: Final = 30
"""Attempts of one client to use a token, in a minute."""


@dataclass(frozen=True, slots=True)
class ResetMail:
    """What the hook sends to the owner of the account; `expires_at` is in Unix seconds."""

    login: str
    user_id: int
    token: str = field(repr=False)
    expires_at: int


@dataclass(frozen=True, slots=True)
class UnknownToken:
    """The token does not exist, is used, or has expired."""


Deliver = Callable[[ResetMail], Awaitable[None]]
"""Makes one bounded attempt. Raises: HookFailed."""


class PasswordReset:
    """Queues requests, and replaces passwords. Each `work` is a task of the caller, who starts WORKERS of them."""

    def __init__(
        self,
        accounts: AccountStore,
        passwords: Passwords,
        counters: Counters,
        deliver: Deliver | None,
        events: AuthEvents = SILENT,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._accounts = accounts
        self._passwords = passwords
        self._counters = counters
        self._deliver = deliver
        self._events = events
        self._now = now
        self._requests: asyncio.Queue[str] = asyncio.Queue(WAITING)

    @property
    def is_offered(self) -> bool:
        """Whether there is a hook."""
        return self._deliver is not None

    async def request(self, login: str, address: str) -> Limited | None:
        """Queue a request, within the limits of the client, of its networks and of the login.

        Raises: Overloaded.
        """
        networks = zip(networks_of(address), PER_CLIENT, strict=False)
        limits = [
            *(Limit(f"reset:client:{network}", most, MINUTE_S) for network, most in networks),
            Limit(f"reset:account:{login_digest(login)}", PER_ACCOUNT_AND_HOUR, 3600),
        ]
        for limit in limits:
            if wait_s := await self._counters.count(limit):
                self._events.reset("limited")
                return Limited(wait_s)
        try:
            self._requests.put_nowait(login)
        except asyncio.QueueFull:
            self._events.reset("overloaded")
            raise Overloaded from None
        return None

    async def confirm(
        self, token: str, password: str, address: str
    ) -> Changed | UnknownToken | Limited | list[BrokenRule]:
        """Replace the password, use up the token, end all sessions of the user and revoke its tokens.

        Raises: StorageUnavailable, Overloaded.
        """
        if wait_s := await self._counters.count(Limit(f"reset:confirm:{networks_of(address)[0]}", CONFIRMS)):
            self._events.password("limited")
            return Limited(wait_s)
        digest = _digest(token)
        account = await self._accounts.resets.account_of(digest)
        if account is None:
            return UnknownToken()
        note(user_id=account.person.id)
        if broken := list(broken_by_password(password, account.person.username, "new_password")):
            return broken
        if not await self._accounts.reset_password(digest, await self._passwords.hash(password)):
            return UnknownToken()
        self._events.password("reset")
        log.info("password_reset", extra={"fields": {"user_id": account.person.id, "address": address}})
        return Changed()

    async def work(self) -> None:
        """Serve the queue until cancelled."""
        while True:
            login = await self._requests.get()
            try:
                await self._serve(login)
            except StorageUnavailable:
                self._events.reset("failed")
                log.warning("password_reset_unavailable")

    async def _serve(self, login: str) -> None:
        account = await self._accounts.by_login(login) if is_login(login) else None
        if account is None or self._deliver is None:
            self._events.reset("unknown")
            return
        mail = await self._mail(account)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._deliver(mail)
            except HookFailed as error:
                fields = {"user_id": mail.user_id, "attempt": attempt, "error": str(error)}
                log.warning("password_reset_hook_failed", extra={"fields": fields})
                await asyncio.sleep(random.uniform(0, min(LONGEST_PAUSE_S, 2.0**attempt)))  # noqa: S311 - spreads load
            else:
                self._events.reset("sent")
                log.info("password_reset_sent", extra={"fields": {"user_id": mail.user_id}})
                return
        self._events.reset("failed")

    async def _mail(self, account: Account) -> ResetMail:
        token = f"pwr_{secrets.token_urlsafe(32)}"
        expires_at = int(self._now()) + LIFETIME_S
        await self._accounts.resets.add(_digest(token), account.person.id, expires_at)
        return ResetMail(account.person.username, account.person.id, token, expires_at)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
