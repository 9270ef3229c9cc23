"""Bounds the audit records that clients can cause. What is not recorded is counted, and recorded as a summary.

Refusals and failures: 10 a minute of an event and address, 600 of an event. What users do: 120 a minute of an event and
caller, 6,000 of an event. Reading and sending by services: 60 a minute of a service and operation. What services
change: 6,000 a minute of an event and service, which only a defect or a stolen key reaches.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from httpapi.audit.events import Event, Result
from httpapi.client_address import networks_of

WINDOW_S: Final = 60.0
REFUSALS_OF_ADDRESS: Final = 10
REFUSALS: Final = 600
ACTS_OF_CALLER: Final = 120
ACTS: Final = 6_000
CALLS_OF_SERVICE: Final = 60
CHANGES_OF_SERVICE: Final = 6_000
_READS: Final = frozenset({Event.SERVICE_CALL, Event.AUDIT_READ})
SEVERAL: Final = "several"
"""The actor of a summary."""


class Summary(NamedTuple):
    """What was not recorded in a window. `operation` and `actor` are those of a service, else of several."""

    event: Event
    result: Result
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

    def admits(self, event: Event, result: Result, actor: str, operation: str, address: Callable[[], str]) -> bool:
        """Whether this event is recorded by itself; `address` is called only if it matters."""
        limits = _limits_of(event, result, actor, operation, address)
        if all(self._recorded[key] < most for key, most in limits):
            for key, _ in limits:
                self._recorded[key] += 1
            return True
        if result is not Result.OK or not _is_trusted(actor):
            actor, operation = SEVERAL, ""
        self._skipped[Summary(event, result, actor, operation)] += 1
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


def _limits_of(
    event: Event, result: Result, actor: str, operation: str, address: Callable[[], str]
) -> list[tuple[tuple[str, ...], int]]:
    """The counters of the event and their limits; `Counter` does not store a key that is only read."""
    if result is not Result.OK:
        return [(("refused", event), REFUSALS), (("refused", event, _network(address())), REFUSALS_OF_ADDRESS)]
    if event in _READS:
        return [(("call", actor, operation), CALLS_OF_SERVICE)]
    if _is_trusted(actor):
        return [(("change", event, actor), CHANGES_OF_SERVICE)]
    caller = actor if actor.startswith("user:") else _network(address())
    return [(("act", event), ACTS), (("act", event, caller), ACTS_OF_CALLER)]


def _network(address: str) -> str:
    return networks_of(address)[0]


def _is_trusted(actor: str) -> bool:
    """Whether a service or a command caused it; there are few of them, so that summaries can name each."""
    return actor.startswith(("service:", "operator"))
