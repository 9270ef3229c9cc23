"""Limits on failed logins, by what an attacker cannot change at will. No failure of others keeps an owner out.

| failures | in a minute | beyond it |
|---|---|---|
| of one account from one client | 10 | refused |
| from one client, any account | 19 (an IPv6 /56: 24, a /48: 36) | refused |
| of one account, all clients | 10 | each attempt of a stranger is delayed by DELAY_S |
| of all accounts, all clients | 100 | each attempt of a stranger is delayed by DELAY_S |
| of one account from a device that knows it | 10 | refused |

A known device (`auth.accounts.devices`) meets only the last row, a stranger only the others. Only failures count, so a
thousand users may log in from one address. Refused attempts do not count: no refusal lasts longer than a minute (OWASP
Authentication Cheat Sheet).
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from auth.accounts.counters import Counters, Limit
from httpapi.client_address import networks_of

PER_CLIENT_AND_ACCOUNT: Final = 10
PER_CLIENT: Final = (19, 24, 36)
"""Of an IPv4 address or an IPv6 /64, where the 20th failure in a minute is refused; of a /56; of a /48."""
PER_ACCOUNT: Final = 10
OVER_ALL: Final = 100
PER_DEVICE: Final = 10
DELAY_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login, whether or not an account has it, from an address; `device` is set for a device that knows it."""

    login: str
    address: str
    device: str | None = None

    @property
    def client(self) -> str:
        """The key of who makes the attempt: a known device, or the narrowest network."""
        return f"device:{self.device}" if self.device else networks_of(self.address)[0]


@dataclass(frozen=True, slots=True)
class LoginPermit:
    """Refused until `wait_s` have passed, if it is not 0.0; else allowed, after DELAY_S if `is_delayed`."""

    wait_s: float
    is_delayed: bool = False


def login_digest(login: str) -> str:
    """The form in which limits and device tokens name a login, letter case aside."""
    return hashlib.sha256(login.casefold().encode("utf-8", "surrogatepass")).hexdigest()[:32]


class LoginLimits:
    """The limits over `counters`; never raises."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    async def check(self, attempt: Attempt) -> LoginPermit:
        """Whether the attempt is allowed now. Counts nothing."""
        if wait_s := await self.wait_s(attempt):
            return LoginPermit(wait_s)
        waits = await asyncio.gather(*map(self._counters.wait_s, _delaying(attempt)))
        return LoginPermit(0.0, is_delayed=any(waits))

    async def wait_s(self, attempt: Attempt) -> float:
        """The seconds for which the attempt is refused; 0.0 if it is allowed. Counts nothing."""
        for limit in _refusing(attempt):
            if wait_s := await self._counters.wait_s(limit):
                return wait_s
        return 0.0

    async def fail(self, attempt: Attempt) -> float:
        """Count a failure; the seconds to wait if a concurrent attempt has used up the limit, else 0.0."""
        for limit in _refusing(attempt):
            if wait_s := await self._counters.count(limit):
                return wait_s
        await asyncio.gather(*map(self._counters.count, _delaying(attempt)))
        return 0.0


def _refusing(attempt: Attempt) -> Sequence[Limit]:
    """The limits that refuse, narrowest first."""
    digest = login_digest(attempt.login)
    if attempt.device:
        return [Limit(f"login:device:{attempt.device}", PER_DEVICE)]
    clients = networks_of(attempt.address)
    return [
        Limit(f"login:pair:{digest}:{clients[0]}", PER_CLIENT_AND_ACCOUNT),
        *(Limit(f"login:client:{client}", most) for client, most in zip(clients, PER_CLIENT, strict=False)),
    ]


def _delaying(attempt: Attempt) -> Sequence[Limit]:
    if attempt.device:
        return []
    return [Limit(f"login:account:{login_digest(attempt.login)}", PER_ACCOUNT), Limit("login:all", OVER_ALL)]
