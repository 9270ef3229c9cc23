"""The number of users during a run: pure functions of the elapsed share of the run."""

from math import ceil
from typing import Final

STEPS: Final = 5
BASE_SHARE: Final = 0.2
STORM_AT: Final = 0.5
"""By then every user has connected, and there is time left to reconnect."""


def ramp(over: float, peak: int) -> int:
    """Equal steps upwards, each long enough to measure: the capacity is where the latency rises."""
    return ceil(peak * min(STEPS, int(over * STEPS) + 1) / STEPS)


def spike(over: float, peak: int) -> int:
    """A fifth of the users, then all as fast as the spawn rate allows, then a fifth again."""
    return peak if 1 / 3 <= over < 2 / 3 else ceil(peak * BASE_SHARE)
