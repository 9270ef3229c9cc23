"""Bounds the lines that this process logs per second, because clients can cause nearly every event.

Keeps: at most a fixed number of lines per second and event is written; every other line is counted, in a metric and in
the next summary (`log_lines_dropped`). A flood of one event takes no line from another. Audit records have limits of
their own.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

logger = logging.getLogger("gateway.log_sampling")

LINES_A_SECOND: Final = 10
"""For each event, and for each library."""
RECORDS: Final = frozenset({"messages_stored"})
"""The events by which operators trace a message: RECORDS_A_SECOND lines of each; users have limits of their own."""
RECORDS_A_SECOND: Final = 100
SUMMARY_S: Final = 1.0
MAX_EVENTS: Final = 200
"""Further different events count as `other`. Our own events are constants, and fewer."""

UNSAMPLED: Final = "audit"
"""The logger of audit records, which `httpapi.audit.sampling` bounds and counts."""

_OURS: Final = frozenset({"gateway", "auth", "httpapi", "storage"})


def _uncounted(event: str) -> None:
    """The default callback, for processes without metrics."""


class Sampling(logging.Filter):
    """A filter for a log handler."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._second = 0
        self._lines: Counter[str] = Counter()
        """Lines in the current second, by event."""
        self._dropped: Counter[str] = Counter()
        """Lines dropped since the last summary, by event."""
        self.on_dropped: Callable[[str], None] = _uncounted
        """Called with the event of each line that is not written."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        if record.name == UNSAMPLED:
            return True
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._lines.clear()
        event = record.msg if record.name.partition(".")[0] in _OURS else record.name
        if event not in self._lines and len(self._lines) >= MAX_EVENTS:
            event = "other"
        self._lines[event] += 1
        if self._lines[event] <= (RECORDS_A_SECOND if event in RECORDS else LINES_A_SECOND):
            return True
        if event not in self._dropped and len(self._dropped) >= MAX_EVENTS:
            event = "other"
        self._dropped[event] += 1
        self.on_dropped(event)
        return False

    async def summarize(self) -> None:
        """Log the number of dropped lines by event, if any, every SUMMARY_S and when this task is cancelled."""
        try:
            while True:
                await asyncio.sleep(SUMMARY_S)
                self._log_summary()
        finally:
            self._log_summary()

    def _log_summary(self) -> None:
        if self._dropped:
            dropped, self._dropped = self._dropped, Counter()
            logger.warning("log_lines_dropped", extra={"fields": {"events": dict(dropped)}})
