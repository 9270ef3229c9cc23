"""The figures of a run, computed from its history."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.faults.observer import Struck
from tests.faults.run import Outcome


@dataclass(frozen=True)
class Spread:
    """Of some times, in seconds: median, 99th percentile, most."""

    p50: float
    p95: float
    p99: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Not a number, where there are none."""
        ordered = sorted(values)
        if not ordered:
            return cls(*[float("nan")] * 4)
        return cls(*(ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.95, 0.99, 1.0)))


@dataclass(frozen=True)
class Aftermath:
    """What a kind of fault did."""

    times: int
    recovery_s: Spread
    """From when it struck until everybody was well and stayed so, be it healed or not."""
    after_healing_s: Spread
    """From when it was healed until everybody was well."""
    ack_s: Spread
    """Ack latency of what was first offered while it lasted."""
    reconnects: float
    """On average, while it lasted."""


@dataclass(frozen=True)
class Figures:
    """What the tables at the end show."""

    acked: int
    accepted: int
    """By the queue."""
    attempted: int
    deliveries: int
    repeated: int
    """Pushes of what the client had already: at-least-once on the wire."""
    reconnects: int
    violations: dict[str, int]
    """By rule."""
    ack_s: Spread
    """From the first offer of a message to its acknowledgement, through whatever happened meanwhile."""
    lag_s: Spread
    """From the sender's acknowledgement to each first delivery to another client."""
    gaps_found: int
    gaps_repaired: int
    faults: dict[str, Aftermath]


def ack_times(outcome: Outcome) -> list[tuple[float, float]]:
    """(when acknowledged, seconds after the first offer)."""
    offered = {attempt.key: attempt.at for attempt in outcome.history.attempts}
    return [(ack.at, ack.at - offered[ack.key]) for ack in outcome.history.acks if ack.key in offered]


def lags(outcome: Outcome) -> list[tuple[float, float]]:
    """(when delivered, seconds after the sender's acknowledgement), of first deliveries to others."""
    acked = {(ack.chat, ack.seq): ack.at for ack in outcome.history.acks}
    seen: set[tuple[int, str, int]] = set()
    found = []
    for d in outcome.history.deliveries:
        if (d.chat, d.client, d.seq) not in seen:
            seen.add((d.chat, d.client, d.seq))
            at = acked.get((d.chat, d.seq))
            if at is not None and not d.key.startswith(f"{d.client}."):
                found.append((d.at, max(0.0, d.at - at)))
    return found


def figures(outcome: Outcome) -> Figures:
    """All of them."""
    history = outcome.history
    _, gaps_found, repaired = outcome.gaps[-1] if outcome.gaps else (0.0, 0.0, 0.0)
    distinct = len({(d.chat, d.client, d.seq) for d in history.deliveries})
    acks = ack_times(outcome)
    kinds: dict[str, list[Struck]] = {}
    for struck in outcome.struck:
        kinds.setdefault(struck.kind.value, []).append(struck)
    return Figures(
        acked=len(history.acks),
        accepted=len(history.accepted),
        attempted=len(history.attempts),
        deliveries=len(history.deliveries),
        repeated=len(history.deliveries) - distinct,
        reconnects=len(history.reconnects),
        violations=dict(Counter(violation.rule.value for violation in outcome.violations)),
        ack_s=Spread.of(seconds for _, seconds in acks),
        lag_s=Spread.of(seconds for _, seconds in lags(outcome)),
        gaps_found=round(gaps_found),
        gaps_repaired=round(repaired),
        faults={kind: _aftermath(of_kind, acks, history.reconnects) for kind, of_kind in sorted(kinds.items())},
    )


def _aftermath(
    faults: Sequence[Struck], acks: Sequence[tuple[float, float]], reconnects: Sequence[tuple[float, str]]
) -> Aftermath:
    windows = [(fault.began, fault.healed) for fault in faults if fault.healed is not None]

    def is_within(at: float) -> bool:
        return any(began <= at <= healed for began, healed in windows)

    return Aftermath(
        times=len(faults),
        recovery_s=Spread.of(fault.recovered - fault.began for fault in faults if fault.recovered is not None),
        after_healing_s=Spread.of(
            fault.well - fault.healed for fault in faults if fault.well is not None and fault.healed is not None
        ),
        ack_s=Spread.of(seconds for at, seconds in acks if is_within(at - seconds)),
        reconnects=sum(is_within(at) for at, _ in reconnects) / len(faults),
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as a Markdown table that is also good to look at; the first is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def seconds(value: float) -> str:
    """A time, as a person reads it."""
    if math.isnan(value):
        return "–"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
