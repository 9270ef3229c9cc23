"""Limits of open connections on this node, and of handshakes to all nodes, by address and by user.

Checked before any query: this node's counts when a handshake arrives and when its token is verified, those of all nodes
then, in one round trip to Redis. While Redis does not respond, this node's count of handshakes applies.
A handshake counts as a connection until it ends. 0 means no limit.
"""

import asyncio
import resource
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from starlette.requests import HTTPConnection

from gateway.http.problems import Problem, unavailable
from gateway.http.slow_refusals import SlowRefusals
from gateway.interfaces.rate_limits import CallerBuckets, Take
from gateway.token_buckets import TokenBuckets
from httpapi.client_address import UNKNOWN, networks_of
from httpapi.errors import retry_later

TOO_MANY: Final = "too_many_connections"
"""The error code of a handshake beyond the limit of its address or user."""
TOO_MANY_HANDSHAKES: Final = "too_many_handshakes"
"""The error code of a handshake beyond the rate of its address or user."""
HANDSHAKES: Final = "handshakes"
"""The name of the bucket over all nodes."""
RETRY_S: Final = 10.0
"""`Retry-After` where it is unknown when a connection will close."""
MAX_KEYS: Final = 50_000
"""Addresses and users whose rate is remembered; the least recent are forgotten first, some 10 MB at most."""
OTHER_DESCRIPTORS: Final = 200
"""For connections to the servers, HTTP requests and files."""
MINUTE_S: Final = 60.0
_PLACE: Final = "chat_gateway.place"
_OWN: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
"""Rejections that need no further count: of these limits, or of a node that is short of something."""
_OF_CALLERS: Final = frozenset({TOO_MANY, TOO_MANY_HANDSHAKES})
"""Codes of rejections that only the caller can avoid."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The figures, from the settings; 0 means no limit."""

    connections: int = 0
    connections_per_address: int = 0
    connections_per_user: int = 0
    handshakes_per_address: int = 0
    """In a minute, over all nodes."""
    handshakes_per_user: int = 0
    """In a minute, over all nodes."""


def descriptor_limit() -> int:
    """How many connections the process' file descriptors allow; 0 if they are not limited."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 0 if soft == resource.RLIM_INFINITY else max(1, soft - OTHER_DESCRIPTORS)


class ConnectionLimits:
    """Counts the connections of this node, and the handshakes of all nodes in `everywhere`.

    `on_limited` is called with "address" or "user" for each handshake beyond that one's rate.
    """

    def __init__(
        self,
        limits: Limits,
        everywhere: CallerBuckets | None = None,
        on_limited: Callable[[str], None] = lambda _: None,
        now: Callable[[], float] = time.monotonic,
        slow_refusals: SlowRefusals | None = None,
    ) -> None:
        self._limits = limits
        self._slow_refusals = slow_refusals or SlowRefusals()
        self._everywhere = everywhere
        self._on_limited = on_limited
        self._open = 0
        self._by_key = Counter[str]()
        self._handshakes = TokenBuckets(MINUTE_S, MAX_KEYS, now)

    def enter(self, connection: HTTPConnection, address: str) -> "Place":
        """Count a handshake and its connection; the caller releases the place.

        Raises: Problem (503 the node is full or the address sends too many handshakes, 429 too many connections).
        """
        limits, network = self._limits, networks_of(address)[0]
        key = _key_of(network)
        self._check_rate(key, limits.handshakes_per_address)
        if 0 < limits.connections <= self._open:
            raise unavailable(RETRY_S)
        self._check_open(key, limits.connections_per_address, "from this address")
        self._open += 1
        self._by_key[key] += 1
        place = Place(self, network)
        connection.scope[_PLACE] = place
        return place

    async def admit(self, connection: HTTPConnection, user_id: int | None) -> None:
        """Count a handshake over all nodes, and for its user, None if it has none; ignored for other requests.

        Raises: Problem (503 the address or user sends too many handshakes, 429 the user has too many connections).
        """
        place: Place | None = connection.scope.get(_PLACE)
        if place is None:
            return
        new: list[tuple[str, int]] = []
        if user_id is not None and place.user is None:
            self._enter_user(place, f"user:{user_id}")
            new.append((f"user:{user_id}", self._limits.handshakes_per_user))
        if not place.is_counted_everywhere:
            place.is_counted_everywhere = True
            new.append((_key_of(place.network), self._limits.handshakes_per_address))
        if self._everywhere is not None and (limited := [one for one in new if one[1]]):
            await self._count(self._everywhere, limited)

    async def first(self, problem: Problem, connection: HTTPConnection, address: str) -> Problem:
        """The response to a rejected handshake: `problem`, unless its address sends too many to all nodes.

        So that handshakes with invalid tokens count too. One that exceeds a limit of its caller, and comes earlier than
        the response to another from this address allowed, waits (`SlowRefusals`).
        """
        if problem.status not in _OWN:
            try:
                await self.admit(connection, None)
            except Problem as beyond:
                problem = beyond
        if problem.code in _OF_CALLERS:
            await self._slow_refusals.before(_key_of(networks_of(address)[0]), float(problem.headers["Retry-After"]))
        return problem

    def _enter_user(self, place: "Place", key: str) -> None:
        self._check_rate(key, self._limits.handshakes_per_user)
        self._check_open(key, self._limits.connections_per_user, "of this user")
        self._by_key[key] += 1
        place.user = key

    async def _count(self, everywhere: CallerBuckets, limited: list[tuple[str, int]]) -> None:
        takes = [everywhere.take(key, [Take(HANDSHAKES, 1, per_minute)]) for key, per_minute in limited]
        # at once, so that they leave in one write
        outcomes = [await takes[0]] if len(takes) == 1 else await asyncio.gather(*takes)
        for (key, _), exhausted in zip(limited, outcomes, strict=True):
            if exhausted is not None:
                raise self._too_fast(key, exhausted.retry_after_s)

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
        if not per_minute:
            return
        if wait_s := self._handshakes.wait_s(key, 1, per_minute):
            raise self._too_fast(key, wait_s)
        self._handshakes.take(key, 1, per_minute)

    def _too_fast(self, key: str, wait_s: float) -> Problem:
        by = key.partition(":")[0]
        self._on_limited(by)
        detail = f"Too many handshakes from this {by}, please wait."
        return retry_later(HTTPStatus.SERVICE_UNAVAILABLE, TOO_MANY_HANDSHAKES, detail, wait_s)


def user_of(connection: HTTPConnection) -> str | None:
    """The user of a handshake whose credential was verified, as `user:<id>`."""
    place: Place | None = connection.scope.get(_PLACE)
    return None if place is None else place.user


class Place:
    """One counted connection."""

    __slots__ = ("_is_released", "_limits", "is_counted_everywhere", "network", "user")

    def __init__(self, limits: ConnectionLimits, network: str) -> None:
        self._limits = limits
        self.network = network
        self.is_counted_everywhere = False
        """Whether the handshake was counted for its address over all nodes."""
        self.user: str | None = None
        self._is_released = False

    def release(self) -> None:
        """Stop counting it; further calls do nothing."""
        if not self._is_released:
            self._is_released = True
            self._limits.release((_key_of(self.network), self.user))


def network_of(connection: HTTPConnection) -> str:
    """The IPv4 address or IPv6 /64 that a handshake is counted for."""
    place: Place | None = connection.scope.get(_PLACE)
    return UNKNOWN if place is None else place.network


def _key_of(network: str) -> str:
    return f"address:{network}"


def _too_many(of_whom: str) -> Problem:
    detail = f"Too many connections {of_whom} are open. Close some, and try again."
    return retry_later(HTTPStatus.TOO_MANY_REQUESTS, TOO_MANY, detail, RETRY_S)
