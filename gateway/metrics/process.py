"""The process itself: what runs, how busy its loop is, what it takes of the host, whether it is leaving."""

import platform
from collections.abc import Callable

from prometheus_client import Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector

from auth.version import program_version
from gateway.metrics.exposition import FAST, Registry


class ProcessMetrics:
    """Beside `process_…`: CPU seconds, resident memory, open and allowed file descriptors, start time (Linux)."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        ProcessCollector(registry=registry)
        Gauge(
            "chat_gateway_build_info",
            "Constant 1; the labels say what runs.",
            ["version", "python"],
            registry=registry,
        ).labels(program_version(), platform.python_version()).set(1)
        self.loop_lag: Callable[[float], None] = Histogram(
            "chat_gateway_event_loop_lag_seconds",
            "How late the loop's timer was, once a second.",
            registry=registry,
            buckets=FAST,
        ).observe

    def watch(self, *, ready: Callable[[], bool], draining: Callable[[], bool]) -> None:
        """Read these at every scrape. How far a drain is, chat_gateway_connections says."""
        for name, text, read in (
            ("ready", "Whether /readyz answers 200.", ready),
            ("draining", "Whether this node is sending its clients away.", draining),
        ):
            self._registry.watch(f"chat_gateway_{name}", text, lambda read=read: float(read()))  # type: ignore[misc]
