"""The metrics of the process: version, event loop, resources, logs and readiness."""

import asyncio
import platform
from collections.abc import Callable

from prometheus_client import Gauge
from prometheus_client.process_collector import ProcessCollector

from gateway.metrics.counters import CounterFamily, histogram
from gateway.metrics.exposition import FAST, Registry
from httpapi.docs_pages import program_version


class ProcessMetrics:
    """Adds to the `process_…` metrics, which are CPU seconds, memory, file descriptors and start time (Linux)."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        ProcessCollector(registry=registry)
        Gauge(
            "chat_gateway_build_info",
            "Constant 1; the labels are the versions of the program and of Python.",
            ["version", "python"],
            registry=registry,
        ).labels(program_version(), platform.python_version()).set(1)
        self.loop_lag: Callable[[float], None] = histogram(
            "chat_gateway_event_loop_lag_seconds",
            "Delay of a timer of the event loop, measured once a second.",
            registry=registry,
            buckets=FAST,
        ).observe

        self._log_lines_dropped = CounterFamily(
            "chat_gateway_log_lines_dropped_total",
            "Log lines that were not written because their event had reached its limit per second, by event.",
            ["event"],
            registry=registry,
        )
        for event in ("connected", "disconnected", "refused", "command_refused"):
            self._log_lines_dropped.labels(event)  # at 0, for Prometheus' `increase`

    def log_line_dropped(self, event: str) -> None:
        """Count a line that was not written; `event` is from a closed set."""
        self._log_lines_dropped.labels(event).inc()

    def watch(self, *, ready: Callable[[], bool], draining: Callable[[], bool]) -> None:
        """Add gauges that call these at every scrape. chat_gateway_connections shows the progress of a drain."""
        for name, text, read in (
            ("ready", "Whether /readyz responds with 200.", ready),
            ("draining", "Whether this node is draining.", draining),
        ):
            self._registry.watch(f"chat_gateway_{name}", text, lambda read=read: float(read()))  # type: ignore[misc]


INTERVAL_S = 1.0


async def measure_loop_lag(report: Callable[[float], None]) -> None:
    """Report by how many seconds a timer fired late, every INTERVAL_S until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + INTERVAL_S
        await asyncio.sleep(INTERVAL_S)
        report(max(0.0, loop.time() - due))
