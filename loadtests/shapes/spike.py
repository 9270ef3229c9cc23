"""Spike: all users come at once for a while (`loadtests.profiles.spike`)."""

from loadtests.profiles import spike
from loadtests.shapes.profiled import Profiled


class Spike(Profiled):
    """The shape."""

    def users(self, over: float, peak: int) -> int:
        """The number of users by the profile."""
        return spike(over, peak)
