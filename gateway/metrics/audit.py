"""The metrics of the audit log, in a gateway and in a standalone auth process."""

from collections.abc import Callable

from gateway.metrics.counters import CounterFamily
from gateway.metrics.exposition import Registry
from httpapi.audit.recorder import OUTCOMES


class AuditMetrics:
    """Called by the recorder."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        records = CounterFamily(
            "chat_gateway_audit_records_total",
            "Audit records by outcome: stored, skipped (counted in a summary), or lost (in the log only).",
            ["outcome"],
            registry=registry,
        )
        self._records = {outcome: records.labels(outcome) for outcome in OUTCOMES}

    def counted(self, outcome: str, number: int) -> None:
        """Count records; `outcome` is one of OUTCOMES."""
        self._records[outcome].inc(number)

    def watch(self, waiting: Callable[[], int]) -> None:
        """Add a gauge that calls `waiting` at every scrape."""
        text = "Audit records that wait for the database; at most 10,000."
        self._registry.watch("chat_gateway_audit_waiting", text, lambda: float(waiting()))
