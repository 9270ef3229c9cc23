"""Ramp: users increase in equal steps (`loadtests.profiles.ramp`)."""

from loadtests.profiles import ramp
from loadtests.shapes.profiled import Profiled


class Ramp(Profiled):
    """The shape."""

    def users(self, over: float, peak: int) -> int:
        """The number of users by the profile."""
        return ramp(over, peak)
