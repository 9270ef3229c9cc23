"""Limits on failed logins: per account and per address, in any minute.

Only failures count, so a thousand users may log in from one address at once; refused attempts count for nothing, so
whoever stops guessing may try again within a minute: nobody is locked out for longer (OWASP Authentication Cheat
Sheet).
"""

import hashlib
import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

WINDOW_S: Final = 60.0
PER_ACCOUNT: Final = 10
PER_ADDRESS: Final = 19  # many people may sit behind one; the 20th failure in a minute is refused
MOST_KEYS: Final = 20_000  # of the local limits, some 20 MB at the very worst; the least recent are forgotten first


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` failures under `key` in any WINDOW_S. The key has a bounded size and quotes no login."""

    key: str
    most: int


def limits_on(account: str, address: str) -> tuple[Limit, Limit]:
    """The two limits that one attempt meets; `account` is whatever was typed, existing or not."""
    digest = hashlib.sha256(account.casefold().encode()).hexdigest()[:32]
    return Limit(f"account:{digest}", PER_ACCOUNT), Limit(f"address:{_neighbourhood(address)}", PER_ADDRESS)


def _neighbourhood(address: str) -> str:
    """An IPv6 client holds a whole /64: one address of it is as good as another."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    return str(ip) if ip.version == 4 else str(ipaddress.ip_network((ip, 64), strict=False))


class LoginLimits(Protocol):
    """Who has failed too often; never raises, and answers within about half a second."""

    async def wait_s(self, account: str, address: str) -> float:
        """Seconds until this account may be tried from this address; 0.0 if it may be now. Counts nothing."""
        ...

    async def fail(self, account: str, address: str) -> float:
        """The same, and if it is 0.0, count one failure: of attempts that race, no more than the limit get 0.0."""
        ...


class LocalLoginLimits:
    """The limits of one process, in bounded memory."""

    def __init__(self, now: Callable[[], float] = time.monotonic, most_keys: int = MOST_KEYS) -> None:
        self._now = now
        self._most_keys = most_keys
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()  # the last `most` failures of each key

    async def wait_s(self, account: str, address: str) -> float:
        """See `LoginLimits`."""
        return max(self._wait(limit) for limit in limits_on(account, address))

    async def fail(self, account: str, address: str) -> float:
        """See `LoginLimits`."""
        wait_s = await self.wait_s(account, address)
        if not wait_s:
            for limit in limits_on(account, address):
                self._count(limit)
        return wait_s

    def _wait(self, limit: Limit) -> float:
        times = self._failures.get(limit.key)
        if times is None or len(times) < limit.most:
            return 0.0
        return max(0.0, times[0] + WINDOW_S - self._now())

    def _count(self, limit: Limit) -> None:
        times = self._failures.setdefault(limit.key, deque(maxlen=limit.most))
        times.append(self._now())
        self._failures.move_to_end(limit.key)
        if len(self._failures) > self._most_keys:
            self._failures.popitem(last=False)
