"""Token buckets of users, service keys and addresses, over all nodes. Implemented by `gateway.redis.caller_buckets`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


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

    async def take(self, caller: str, takes: Sequence[Take]) -> Exhausted | None:
        """Take from several buckets of a caller, from all or from none; None if they held enough.

        Never raises, and takes at most 0.25 s: while Redis does not respond, buckets of this node decide.
        """
        ...
