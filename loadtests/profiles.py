"""How many users there are at a moment of a run: each a pure function of the share of the run that is over."""

from math import ceil
from typing import Final

STEPS: Final = 5
BASE_SHARE: Final = 0.2
STORM_AT: Final = 0.5
"""Everybody has come by then, and there is time to come back."""


def ramp(over: float, peak: int) -> int:
    """Up in equal steps, each long enough to be looked at: where the latency bends is what the target carries."""
    return ceil(peak * min(STEPS, int(over * STEPS) + 1) / STEPS)


def spike(over: float, peak: int) -> int:
    """A fifth of them, then all, as fast as the spawn rate allows, then a fifth again."""
    return peak if 1 / 3 <= over < 2 / 3 else ceil(peak * BASE_SHARE)
