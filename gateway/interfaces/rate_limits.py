"""Limits across all nodes: of what a user stores, and of what each caller asks for.

Implemented by `gateway.redis.rate_limits`, `gateway.redis.byte_quotas` and `gateway.redis.caller_buckets`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from msgspec import Struct


class RateLimited(Struct, frozen=True, gc=False):
    """The user's limit is reached; a message may be stored in `retry_after_s`."""

    retry_after_s: float


WINDOW_S: Final = 60.0


class Admitted(Struct, frozen=True, gc=False):
    """The message may be stored. `is_new`: this call counted it; otherwise an earlier call did."""

    is_new: bool


OnAdmission = Callable[[Admitted | RateLimited], None]


class RateLimits(Protocol):
    """An exact sliding window: in any WINDOW_S at most N stored messages per user."""

    def decide(self, user_id: int, entry: str, on_admission: OnAdmission) -> None:
        """Count a message, unless the limit is reached; `on_admission` is called with which of both.

        Where nothing is counted, that happens within this call: so the messages that a client sends together are
        committed together.

        `entry` names the message (chat and client_msg_id): the same entry again is not counted twice. While Redis is
        unavailable, a local window of the same size decides.
        """
        ...

    async def admit(self, user_id: int, entry: str) -> Admitted | RateLimited:
        """Decide, and return the decision. Never raises."""
        ...

    def forget(self, user_id: int, entry: str) -> None:
        """Remove a newly counted message that was not stored; never blocks."""
        ...


QUOTA_WINDOW_S: Final = 3600.0


class ByteQuotas(Protocol):
    """What a user or an address may store in QUOTA_WINDOW_S, across all nodes: buckets that refill evenly."""

    async def take(self, key: str, fewest: int, most: int, size: int) -> int | RateLimited:
        """Take at least `fewest` and at most `most` bytes of a bucket of `size` bytes, and return how many.

        Never raises: while Redis is unavailable, a bucket of this node decides.
        """
        ...

    async def give_back(self, key: str, unused: int, size: int) -> None:
        """Put bytes back that were taken and not used. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Take:
    """What a request takes from a bucket, which holds `per_minute` (at least 1) and refills evenly over a minute."""

    bucket: str
    amount: int
    per_minute: int


@dataclass(frozen=True, slots=True)
class Exhausted:
    """The bucket holds less than was asked for; it will hold enough in `retry_after_s`."""

    bucket: str
    retry_after_s: float


class CallerBuckets(Protocol):
    """The buckets of each caller; a new caller's are full."""

    def known_refusal(self, caller: str, takes: Sequence[Take]) -> Exhausted | None:
        """Why `take` would refuse these, if this node knows that from an earlier refusal; takes nothing."""
        ...

    async def take(self, caller: str, takes: Sequence[Take]) -> Exhausted | None:
        """Take from several buckets of a caller, from all or from none; None if they held enough.

        Never raises, and takes at most 0.25 s: while Redis does not respond, buckets of this node decide.
        """
        ...
