"""The results of a run: figures of several repetitions, their bounds, tables and charts. Pure."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of several runs and their range."""

    runs: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median of the runs."""
        return statistics.median(self.runs)

    def over(self, other: "Figure") -> "Figure":
        """The ratios of runs that were made in pairs."""
        return Figure(tuple(one / another for one, another in zip(self.runs, other.runs, strict=True)))

    def __str__(self) -> str:
        low, high = min(self.runs), max(self.runs)
        return short(self.median) if len(self.runs) == 1 else f"{short(self.median)} ({short(low)}–{short(high)})"


@dataclass(frozen=True, slots=True)
class Bound:
    """The required and the aimed value of a figure; upper limits, or lower ones with `at_least`."""

    what: str
    value: float
    must: float | None
    aim: float | None = None
    unit: str = ""
    at_least: bool = False

    def reaches(self, target: float | None) -> bool:
        """Whether the value meets the target, or there is none."""
        return target is None or (self.value >= target if self.at_least else self.value <= target)

    @property
    def holds(self) -> bool:
        """Whether the requirement is met."""
        return self.reaches(self.must)

    def cells(self) -> tuple[str, str, str, str]:
        """Name, measured value, requirement and aim, the last two with their outcome."""
        return self.what, f"{short(self.value)}{self.unit}", self._verdict(self.must), self._verdict(self.aim)

    def _verdict(self, target: float | None) -> str:
        if target is None:
            return "–"
        sign = "≥" if self.at_least else "≤"
        return f"{sign} {target:,g}{self.unit}: {'reached' if self.reaches(target) else '**not reached**'}"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a heading, with notes."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    bounds: Sequence[Bound] = ()
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """The table with its bounds and notes."""
        lines = [f"## {self.title}", "", *(rows_of(self.columns, self.rows) if self.rows else [])]
        if self.bounds:
            lines += ["", *rows_of(BOUND_COLUMNS, [bound.cells() for bound in self.bounds])]
        lines += ["", *(f"- {note}" for note in self.notes)]
        return "\n".join(lines).rstrip() + "\n"


BOUND_COLUMNS = ("bound", "measured", "must", "aim")


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, drawn by `benchmarks.pictures`: a row of bars for each of `groups`, a colour for each of `series`.

    With `x` it has lines over these values instead. `marks` are named bounds, drawn across.
    """

    name: str
    title: str
    unit: str
    groups: Sequence[str]
    series: Mapping[str, Sequence[Figure]]
    is_logarithmic: bool = False
    marks: Mapping[str, float] = field(default_factory=dict)
    x: Sequence[float] = ()
    x_unit: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """All results of one workload. `costs` are the inputs for the model of W6, by the name of its field there."""

    name: str
    tables: Sequence[Table]
    charts: Sequence[Chart] = ()
    costs: Mapping[str, float] = field(default_factory=dict)
    is_whole: bool = True
    """Whether the workload completed."""

    @property
    def bounds(self) -> list[Bound]:
        """The bounds of all its tables."""
        return [bound for table in self.tables for bound in table.bounds]


def rows_of(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A Markdown table, line by line."""
    return [_line(columns), _line(["---"] * len(columns)), *(_line([str(cell) for cell in row]) for row in rows)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def short(value: float) -> str:
    """A number with three significant digits or with thousands separators."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
