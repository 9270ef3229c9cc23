"""Storm: all users lose their connections at once, as when a node or a balancer dies, and reconnect."""

from loadtests.profiles import STORM_AT
from loadtests.shapes.profiled import Profiled


class Storm(Profiled):
    """The shape."""

    has_struck = False

    def users(self, over: float, peak: int) -> int:
        """All users; once during the run, it makes them lose their connections."""
        if over >= STORM_AT and not self.has_struck and self.runner is not None:
            self.has_struck = True
            self.runner.send_message("storm")
        return peak
