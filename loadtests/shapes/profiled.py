"""A shape that follows a profile."""

import time
from abc import abstractmethod

from locust import LoadTestShape


class Profiled(LoadTestShape):
    """Reads --users, --spawn-rate and --run-time."""

    abstract = True
    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        """The number of users now; None at the end."""
        assert self.runner is not None
        options = self.runner.environment.parsed_options
        assert options is not None
        if not options.run_time:
            raise SystemExit("A shape needs --run-time: it is drawn over that.")
        over = (time.perf_counter() - self.start_time) / options.run_time
        return (self.users(over, options.num_users), options.spawn_rate) if over < 1 else None

    @abstractmethod
    def users(self, over: float, peak: int) -> int:
        """The number of users at this elapsed share of the run."""
