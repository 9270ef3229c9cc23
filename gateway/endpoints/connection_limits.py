"""Limits of one node's connections: how many are open and how many handshakes come, by address and by user.

Checked before any query: the node's and the address's when a handshake arrives, the user's when its token is verified.
A handshake counts as a connection until it ends. 0 means no limit.
"""

import resource
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from starlette.requests import HTTPConnection

from gateway.http.problems import Problem, unavailable
from httpapi.client_address import networks_of
from httpapi.errors import retry_later

TOO_MANY: Final = "too_many_connections"
"""The error code of a handshake beyond the limit of its address or user."""
RETRY_S: Final = 10.0
"""`Retry-After` where it is unknown when a connection will close."""
MAX_KEYS: Final = 50_000
"""Addresses and users whose rate is remembered; the least recent are forgotten first, some 10 MB at most."""
OTHER_DESCRIPTORS: Final = 200
"""For connections to the servers, HTTP requests and files."""
MINUTE_S: Final = 60.0
_PLACE: Final = "chat_gateway.place"


@dataclass(frozen=True, slots=True)
class Limits:
    """The figures, from the settings; 0 means no limit."""

    connections: int = 0
    connections_per_address: int = 0
    connections_per_user: int = 0
    handshakes_per_address: int = 0
    """In a minute."""
    handshakes_per_user: int = 0
    """In a minute."""


def descriptor_limit() -> int:
    """How many connections the process' file descriptors allow; 0 if they are not limited."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 0 if soft == resource.RLIM_INFINITY else max(1, soft - OTHER_DESCRIPTORS)


class ConnectionLimits:
    """Counts the connections of this node."""

    def __init__(self, limits: Limits, now: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._open = 0
        self._by_key = Counter[str]()
        self._handshakes = _Rates(now)

    def enter(self, connection: HTTPConnection, address: str) -> "Place":
        """Count a handshake and its connection; the caller releases the place.

        Raises: Problem (503 the node is full or the address sends too many handshakes, 429 too many connections).
        """
        limits, key = self._limits, f"address:{networks_of(address)[0]}"
        self._check_rate(key, limits.handshakes_per_address)
        if 0 < limits.connections <= self._open:
            raise unavailable(RETRY_S)
        self._check_open(key, limits.connections_per_address, "from this address")
        self._open += 1
        self._by_key[key] += 1
        place = Place(self, key)
        connection.scope[_PLACE] = place
        return place

    def on_user(self, connection: HTTPConnection, user_id: int) -> None:
        """Count the connection of a handshake for its user too; ignored for other requests.

        Raises: Problem (503 the user sends too many handshakes, 429 too many connections).
        """
        place: Place | None = connection.scope.get(_PLACE)
        if place is None or place.user is not None:
            return
        limits, key = self._limits, f"user:{user_id}"
        self._check_rate(key, limits.handshakes_per_user)
        self._check_open(key, limits.connections_per_user, "of this user")
        self._by_key[key] += 1
        place.user = key

    def release(self, keys: tuple[str | None, ...]) -> None:
        """Stop counting a connection under these keys."""
        self._open -= 1
        for key in keys:
            if key is not None:
                self._by_key[key] -= 1
                if self._by_key[key] <= 0:
                    del self._by_key[key]

    def _check_open(self, key: str, most: int, of_whom: str) -> None:
        if 0 < most <= self._by_key[key]:
            raise _too_many(of_whom)

    def _check_rate(self, key: str, per_minute: int) -> None:
        if per_minute and (wait_s := self._handshakes.count(key, per_minute)):
            raise unavailable(wait_s)


class Place:
    """One counted connection."""

    __slots__ = ("_address", "_is_released", "_limits", "user")

    def __init__(self, limits: ConnectionLimits, address: str) -> None:
        self._limits = limits
        self._address = address
        self.user: str | None = None
        self._is_released = False

    def release(self) -> None:
        """Stop counting it; further calls do nothing."""
        if not self._is_released:
            self._is_released = True
            self._limits.release((self._address, self.user))


class _Rates:
    """Token buckets of a minute's size: what is allowed at once, and again over a minute."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """By key: the allowance, and when it was computed."""

    def count(self, key: str, per_minute: int) -> float:
        """Take one of the key's allowance; the seconds until there is one, if there is none."""
        now = self._now()
        allowance, at = self._buckets.pop(key, (float(per_minute), now))
        allowance = min(float(per_minute), allowance + (now - at) * per_minute / MINUTE_S)
        taken = 1.0 if allowance >= 1.0 else 0.0
        self._buckets[key] = (allowance - taken, now)
        if len(self._buckets) > MAX_KEYS:
            self._buckets.popitem(last=False)
        return 0.0 if taken else (1.0 - allowance) * MINUTE_S / per_minute


def _too_many(of_whom: str) -> Problem:
    detail = f"Too many connections {of_whom} are open. Close some, and try again."
    return retry_later(HTTPStatus.TOO_MANY_REQUESTS, TOO_MANY, detail, RETRY_S)
