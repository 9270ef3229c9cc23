"""Bounds the audit records that clients can cause. What is not recorded is counted, and recorded as a summary.

Refusals and failures: 10 a minute of an event and address, 600 of an event. What users do: 120 a minute of an event and
caller, 6,000 of an event. Reading and sending by services: 60 a minute of a service and operation. What services and
operators change is always recorded.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from httpapi.audit.events import Event, Result
from httpapi.client_address import networks_of
from storage.audit_entry import AuditEntry

WINDOW_S: Final = 60.0
REFUSALS_OF_ADDRESS: Final = 10
REFUSALS: Final = 600
ACTS_OF_CALLER: Final = 120
ACTS: Final = 6_000
CALLS_OF_SERVICE: Final = 60
_READS: Final = frozenset({Event.SERVICE_CALL, Event.AUDIT_READ})
SEVERAL: Final = "several"
"""The actor of a summary."""


class Summary(NamedTuple):
    """What was not recorded in a window. `operation` and `actor` are those of a service, else of several."""

    event: str
    result: str
    actor: str
    operation: str


class Sampler:
    """Counts records in windows of WINDOW_S. Its memory is bounded: a key is added only by a record that is admitted.

    `clock` is in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends_at = clock() + WINDOW_S
        self._recorded = Counter[tuple[str, ...]]()
        self._skipped = Counter[Summary]()

    def admits(self, entry: AuditEntry) -> bool:
        """Whether the entry is recorded by itself."""
        limits = _limits_of(entry)
        if all(self._recorded[key] < most for key, most in limits):
            for key, _ in limits:
                self._recorded[key] += 1
            return True
        is_call = entry.event in _READS and entry.result == Result.OK
        actor, operation = (entry.actor, entry.operation) if is_call else (SEVERAL, "")
        self._skipped[Summary(entry.event, entry.result, actor, operation)] += 1
        return False

    def summaries(self, *, is_last: bool = False) -> Iterator[tuple[Summary, int]]:
        """When the window has ended, or at the end: what was skipped in it, with numbers. A new window begins."""
        now = self._clock()
        if now < self._ends_at and not is_last:
            return
        self._ends_at = now + WINDOW_S
        self._recorded.clear()
        skipped, self._skipped = self._skipped, Counter()
        yield from skipped.items()


def _limits_of(entry: AuditEntry) -> list[tuple[tuple[str, ...], int]]:
    """The counters of the entry and their limits; `Counter` does not store a key that is only read."""
    if entry.result != Result.OK:
        network = networks_of(entry.address)[0]
        return [(("refused", entry.event), REFUSALS), (("refused", entry.event, network), REFUSALS_OF_ADDRESS)]
    if entry.event in _READS:
        return [(("call", entry.actor, entry.operation), CALLS_OF_SERVICE)]
    if entry.actor.startswith(("service:", "operator")):
        return []
    caller = entry.actor if entry.actor.startswith("user:") else networks_of(entry.address)[0]
    return [(("act", entry.event), ACTS), (("act", entry.event, caller), ACTS_OF_CALLER)]
