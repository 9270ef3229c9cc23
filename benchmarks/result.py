"""A figure of several runs, and the tables that say it."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of several runs, and how far they lie apart."""

    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.runs)

    def __str__(self) -> str:
        low, high = min(self.runs), max(self.runs)
        if len(self.runs) == 1:
            return _short(self.median)
        return f"{_short(self.median)} ({_short(low)}–{_short(high)})"


@dataclass(frozen=True, slots=True)
class Bound:
    """A must or an aim of the table of workloads: `holds` says whether the measurement meets it."""

    text: str
    holds: bool
    is_must: bool = True

    def __str__(self) -> str:
        return f"{'✓' if self.holds else '✗'} {self.text}"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one workload."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    bounds: Sequence[Bound] = ()
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """The table, what must be reached, and what is to be known of it."""
        lines = [f"## {self.title}", "", _line(self.columns), _line(["---"] * len(self.columns))]
        lines += [_line([str(cell) for cell in row]) for row in self.rows]
        lines += ["", *(f"- {bound}" for bound in self.bounds), *(f"- {note}" for note in self.notes)]
        return "\n".join(lines) + "\n"


def repeat(times: int, measure: Callable[[], float]) -> Figure:
    """The same measurement so many times."""
    return Figure(tuple(measure() for _ in range(times)))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _short(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
