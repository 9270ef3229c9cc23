"""Limits on log lines that clients cause; dropped ones are counted."""

import asyncio
import io
import json
import logging
from collections import Counter
from collections.abc import Iterator

import pytest

from gateway.server import log_sampling
from gateway.server.log_sampling import LINES_A_SECOND, MAX_EVENTS, RECORDS_A_SECOND, UNSAMPLED, Sampling
from gateway.server.logs import _OURS, JsonFormatter


class Log:
    """A logger of a test's own, with a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.dropped: Counter[str] = Counter()
        self.sampling = Sampling(lambda: self.now)
        self.sampling.on_dropped = lambda event: self.dropped.update([event])
        self._stream = io.StringIO()
        self.handler = logging.StreamHandler(self._stream)
        self.handler.setFormatter(JsonFormatter("n1"))
        self.handler.addFilter(self.sampling)

    def write(self, event: str, times: int = 1, name: str = "gateway.test") -> None:
        """Log it so often."""
        for _ in range(times):
            self.handler.handle(logging.LogRecord(name, logging.INFO, "", 0, event, None, None))

    @property
    def lines(self) -> Counter[str]:
        """The events that were written."""
        return Counter(json.loads(line)["event"] for line in self._stream.getvalue().splitlines())


@pytest.fixture
def log() -> Log:
    return Log()


def test_each_event_has_its_own_line_limit(log: Log) -> None:
    for second in range(1, 4):
        log.write("command_refused", 1000)
        log.write("refused")
        assert log.lines == {"command_refused": LINES_A_SECOND * second, "refused": second}
        log.now += 1
    assert log.dropped == {"command_refused": 3 * (1000 - LINES_A_SECOND)}


def test_message_records_have_higher_limit(log: Log) -> None:
    log.write("messages_stored", 1000)
    log.write("connected", 1000)
    assert log.lines == {"messages_stored": RECORDS_A_SECOND, "connected": LINES_A_SECOND}


@pytest.mark.parametrize("package", sorted({*_OURS} - {UNSAMPLED}))
def test_each_event_of_our_packages_has_own_limit(log: Log, package: str) -> None:
    for event in ("first", "second"):
        log.write(event, 1000, name=f"{package}.room")
    assert log.lines == {"first": LINES_A_SECOND, "second": LINES_A_SECOND}


def test_all_lines_of_a_library_share_one_limit(log: Log) -> None:
    for number in range(1000):
        log.write(f"failure {number}", name="asyncio")
    assert log.lines.total() == LINES_A_SECOND
    assert log.dropped == {"asyncio": 1000 - LINES_A_SECOND}


def test_unlimited_event_names_count_as_one(log: Log) -> None:
    for number in range(10_000):
        log.write(f"event {number}")
    assert log.lines.total() == MAX_EVENTS + LINES_A_SECOND
    assert set(log.dropped) == {"other"}


@pytest.fixture
def written(log: Log) -> Iterator[Log]:
    logger = logging.getLogger("gateway.log_sampling")
    logger.addHandler(log.handler)
    yield log
    logger.removeHandler(log.handler)


async def test_dropped_lines_are_summed_up_in_one_line_and_at_stop(
    written: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_sampling, "SUMMARY_S", 0.01)
    task = asyncio.create_task(written.sampling.summarize())
    await asyncio.sleep(0.05)
    assert not written.lines, "nothing to say"
    written.write("refused", 30)
    await asyncio.sleep(0.05)
    assert written.lines == {"refused": LINES_A_SECOND, "log_lines_dropped": 1}
    written.write("refused", 5)
    monkeypatch.setattr(log_sampling, "SUMMARY_S", 60)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert written.lines["log_lines_dropped"] == 2


def test_audit_records_are_not_sampled_again(log: Log) -> None:
    log.write("audit", 1000, "audit")
    log.write("audit_failed", 1000, "httpapi")
    log.write("audit_rows_lost", 1, "httpapi")
    assert log.lines == {"audit": 1000, "audit_failed": LINES_A_SECOND, "audit_rows_lost": 1}
