"""The metrics of traces."""

from gateway.metrics.counters import CounterFamily
from gateway.metrics.exposition import Registry


class TraceMetrics:
    """Called where a trace would begin."""

    def __init__(self, registry: Registry) -> None:
        traces = CounterFamily(
            "chat_gateway_traces_total",
            "Requests, handshakes and commands by outcome: begun (a trace was begun), or skipped (TRACES_PER_S).",
            ["outcome"],
            registry=registry,
        )
        self._begun = traces.labels("begun")
        self._skipped = traces.labels("skipped")

    def begun(self, is_begun: bool) -> None:
        """Count one."""
        (self._begun if is_begun else self._skipped).inc()
