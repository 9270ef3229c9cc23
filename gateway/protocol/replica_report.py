"""What the replicas of a system report of themselves, for the operator's page."""

from dataclasses import dataclass
from typing import Final

from msgspec import Struct

KEPT_S: Final = 6.0
"""A replica that has not reported for this long is gone."""


class Report(Struct, frozen=True, kw_only=True):
    """One replica, as of now. Rates and means are those of the time since its report before.

    `gaps` and `repaired_events` count from the start of the process; a mean is None if nothing was measured.
    """

    replica: str
    pid: int
    version: str
    state: str
    dependencies: dict[str, bool]
    started_at: int
    """In Unix seconds."""
    connections: int
    seats: int
    stored_per_s: float
    delivered_per_s: float
    delivery_lag_ms: float | None
    loop_lag_ms: float | None
    gaps: int
    repaired_events: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A report, and how many seconds ago it was written."""

    age_s: float
    report: Report
