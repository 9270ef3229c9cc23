"""What a check found: one sentence, and one that says what to do."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum

CLOCK_TOLERANCE_S = 1.0
"""A larger difference of clocks distorts the delivery lag; beyond CLOCK_LIMIT_S tokens are rejected."""
CLOCK_LIMIT_S = 30.0


class Severity(StrEnum):
    """How a finding counts: only WRONG makes `doctor` fail."""

    OK = "ok"
    SKIPPED = "skipped"
    WARNING = "warning"
    WRONG = "WRONG"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    severity: Severity
    subject: str
    text: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.severity:<9}{self.subject:<13}{self.text}{self.advice and ' ' + self.advice}"


Findings = AsyncIterator[Finding]


def ok(subject: str, text: str) -> Finding:
    """A check that passed."""
    return Finding(Severity.OK, subject, text)


def warning(subject: str, text: str, advice: str = "") -> Finding:
    """Something that works, and may be meant otherwise."""
    return Finding(Severity.WARNING, subject, text, advice)


def wrong(subject: str, text: str, advice: str) -> Finding:
    """A defect."""
    return Finding(Severity.WRONG, subject, text, advice)


def clock(subject: str, whose: str, ahead_s: float) -> Finding:
    """How the clock of a server compares with ours; `ahead_s` is negative if it is behind."""
    direction = "ahead of" if ahead_s > 0 else "behind"
    text = f"The clock of {whose} is {abs(ahead_s):.1f} s {direction} the clock of this machine."
    if abs(ahead_s) <= CLOCK_TOLERANCE_S:
        return ok(subject, f"The clock of {whose} and the clock of this machine differ by less than 1 s.")
    if abs(ahead_s) <= CLOCK_LIMIT_S:
        return warning(subject, text, "Run NTP on both.")
    return wrong(subject, text, "Run NTP on both: tokens are rejected when clocks differ by more than 30 s.")
