"""The registry of a process, its text for Prometheus, and the buckets that all metrics share."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Buckets in seconds, for durations that should be milliseconds."""
SLOW = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Buckets in seconds, for durations that may be seconds during faults."""
SIZES = (1, 2, 5, 10, 20, 50, 100, 200)


class Registry(CollectorRegistry):
    """The metrics of one process."""

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a gauge that calls `read` at every scrape."""
        Gauge(name, text, registry=self).set_function(read)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self)
