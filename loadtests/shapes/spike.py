"""Spike: see `loadtests.profiles.spike`."""

from loadtests.profiles import spike
from loadtests.shapes.profiled import Profiled


class Spike(Profiled):
    """The shape."""

    def users(self, over: float, peak: int) -> int:
        """By the profile."""
        return spike(over, peak)
