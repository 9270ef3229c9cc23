"""Refusals of callers' buckets that still hold, so that a caller who does not wait costs Redis nothing.

A bucket refills with time only: what it was too empty for, it is too empty for until the wait is over, on every node.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from gateway.interfaces.rate_limits import Exhausted, Take

MAX_KNOWN: Final = 20_000
"""Buckets, some 5 MB; beyond it Redis is asked again about the one that was refused longest ago."""


class _Refusal(NamedTuple):
    amount: int
    until: float


class KnownRefusals:
    """What one node knows."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._known: OrderedDict[tuple[str, str], _Refusal] = OrderedDict()

    def find(self, caller: str, takes: Sequence[Take]) -> Exhausted | None:
        """The refusal of these, if it is known."""
        for take in takes:
            known = self._known.get((caller, take.bucket))
            if known is not None and take.amount >= known.amount and (wait_s := known.until - self._now()) > 0:
                return Exhausted(take.bucket, wait_s)
        return None

    def note(self, caller: str, takes: Sequence[Take], exhausted: Exhausted) -> None:
        """Note that Redis has refused these."""
        amount = next(take.amount for take in takes if take.bucket == exhausted.bucket)
        key = caller, exhausted.bucket
        self._known.pop(key, None)
        self._known[key] = _Refusal(amount, self._now() + exhausted.retry_after_s)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
