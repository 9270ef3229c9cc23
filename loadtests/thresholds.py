"""The thresholds of a run. Each missed one gives a sentence and makes the exit code 1."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Upper limits. Gaps, duplicates, lost and unacknowledged messages need none: one is too many."""

    ack_p99_ms: float
    delivery_p99_ms: float
    failure_ratio: float


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a run."""

    acks: int
    ack_p99_ms: float
    deliveries: int
    delivery_p99_ms: float
    requests: int
    failures: int
    broken_promises: int
    """Gaps, duplicates, lost and unacknowledged messages."""


def shortcomings(figures: Figures, thresholds: Thresholds) -> Iterator[str]:
    """A sentence for each missed threshold; none if all are met."""
    if figures.broken_promises:
        yield f"{figures.broken_promises} gaps, duplicates, lost or unacknowledged messages"
    if not figures.acks or not figures.deliveries:
        yield f"{figures.acks} acks and {figures.deliveries} deliveries: a run without them proves nothing"
    if figures.ack_p99_ms > thresholds.ack_p99_ms:
        yield f"p99 of acks is {figures.ack_p99_ms:.0f} ms, above {thresholds.ack_p99_ms:.0f} ms"
    if figures.delivery_p99_ms > thresholds.delivery_p99_ms:
        yield f"p99 of deliveries is {figures.delivery_p99_ms:.0f} ms, above {thresholds.delivery_p99_ms:.0f} ms"
    if figures.failures > thresholds.failure_ratio * figures.requests:
        yield f"{figures.failures} failures of {figures.requests}, above a share of {thresholds.failure_ratio}"
