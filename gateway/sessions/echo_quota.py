"""Limits of what echo sessions store: per session, and per user and address in an hour over all nodes.

Invariant: a byte is taken from every limit before it is stored. A session takes a portion from the hours' limits at a
time, so that most of its messages wait for no other server, and gives the rest back when it ends.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.interfaces.rate_limits import ByteQuotas, RateLimited
from gateway.tasks import Tasks
from storage.records import Quota

PORTION_BYTES: Final = 64 * 1024
LINE_BYTES: Final = 256
"""What a line counts besides its payload: some 250 bytes of the row and its indexes."""


@dataclass(frozen=True, slots=True)
class EchoLimits:
    """In bytes, from the settings; 0 means no limit."""

    session: int = 0
    user: int = 0
    """In an hour."""
    address: int = 0
    """In an hour."""


@dataclass(frozen=True, slots=True)
class Exceeded:
    """The limit that is reached, and when it allows a little again."""

    quota: Quota
    retry_after_s: float


@dataclass(frozen=True, slots=True)
class EchoQuota:
    """The limits of this node's echo sessions."""

    quotas: ByteQuotas
    limits: EchoLimits
    tasks: Tasks

    async def exceeded(self, user_id: int, address: str) -> Exceeded | None:
        """The limit by which the user at this address can store nothing at the moment; takes nothing."""
        for quota, key, size in self._hours(user_id, address):
            taken = await self.quotas.take(key, 2 * LINE_BYTES, 0, size)
            if isinstance(taken, RateLimited):
                return Exceeded(quota, taken.retry_after_s)
        return None

    def allowance(self, user_id: int, address: str) -> "Allowance":
        """What a new session may store."""
        return Allowance(self, self._hours(user_id, address))

    def _hours(self, user_id: int, address: str) -> "list[_Hour]":
        hours = [
            (Quota.ECHO_USER, f"echo:user:{user_id}", self.limits.user),
            (Quota.ECHO_ADDRESS, f"echo:address:{address}", self.limits.address),
        ]
        return [hour for hour in hours if hour[2]]


_Hour = tuple[Quota, str, int]
"""The limit, the key of its bucket, and its size in bytes."""


class Allowance:
    """What one session may still store. Call `close` once, when it stores nothing more."""

    def __init__(self, quota: EchoQuota, hours: list[_Hour]) -> None:
        self._quota = quota
        self._hours = hours
        self._session_left = quota.limits.session or None
        self._portion = 0
        self._is_closed = False

    def take(self, size: int) -> bool:
        """Take these bytes of what was requested before; False if they must be requested, and nothing was taken."""
        if self._session_left is not None and self._session_left < size:
            return False
        if self._hours:
            if self._portion < size:
                return False
            self._portion -= size
        if self._session_left is not None:
            self._session_left -= size
        return True

    def request(self, size: int, done: Callable[[Quota | None], None]) -> None:
        """Request these bytes for `take`; `done` gets the limit that does not allow them, perhaps at once."""
        if self._session_left is not None and self._session_left < size:
            done(Quota.ECHO_SESSION)
        else:
            self._quota.tasks.spawn(self._request(size, done), "echo quota")

    def close(self) -> None:
        """Give the unused bytes back."""
        self._is_closed = True
        if self._portion:
            self._quota.tasks.spawn(self._give_back(self._hours, self._portion), "echo quota")
            self._portion = 0

    async def _request(self, size: int, done: Callable[[Quota | None], None]) -> None:
        needed = size - self._portion
        most = max(needed, PORTION_BYTES)
        for number, (quota, key, limit) in enumerate(self._hours):
            taken = await self._quota.quotas.take(key, needed, most, limit)
            if isinstance(taken, RateLimited):
                await self._give_back(self._hours[:number], most)
                done(quota)
                return
            if taken < most:
                await self._give_back(self._hours[:number], most - taken)
                most = taken
        self._portion += most
        done(None)
        if self._is_closed:
            self.close()

    async def _give_back(self, hours: list[_Hour], unused: int) -> None:
        for _, key, limit in hours:
            await self._quota.quotas.give_back(key, unused, limit)
