"""Ramp: see `loadtests.profiles.ramp`."""

from loadtests.profiles import ramp
from loadtests.shapes.profiled import Profiled


class Ramp(Profiled):
    """The shape."""

    def users(self, over: float, peak: int) -> int:
        """By the profile."""
        return ramp(over, peak)
