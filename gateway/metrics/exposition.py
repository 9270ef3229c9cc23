"""The registry of a process, its text for Prometheus, and what all themes share."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds, for what should take milliseconds."""
SLOW = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds, for what may take seconds when something is wrong."""
SIZES = (1, 2, 5, 10, 20, 50, 100, 200)

disable_created_metrics()  # type: ignore[no-untyped-call]  # a gauge beside each counter that says when it began


class Registry(CollectorRegistry):
    """The metrics of one process."""

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A gauge that is read at every scrape."""
        Gauge(name, text, registry=self).set_function(read)

    def exposition(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self)
