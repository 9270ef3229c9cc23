"""The report of one run: results.md and its pictures, or a page of the workloads that were named."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks import machine, pictures
from benchmarks.result import BOUND_COLUMNS, Section, rows_of

_TITLE: Final = "# Benchmarks: "


def write(
    sections: Sequence[Section], folder: Path, *, command: str, minutes: float, names: Sequence[str] = ()
) -> Path:
    """Write the report, replacing an earlier one of the same workloads; returns its path.

    Without `names` it is of all workloads. The pictures of others stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in () if names else folder.glob("*.svg"):
        old.unlink()
    lines = [
        f"{_TITLE}{', '.join(names) or 'results'}",
        "",
        f"Written by `{command}` in {minutes:.0f} minutes; what is measured and how: `benchmarks/README.md`. "
        "Figures are medians of several runs, the lowest and the highest in brackets. Absolute ones mean little on "
        "another machine; ratios are of this one run.",
        "",
        machine.describe(),
        "",
        *summary(sections),
    ]
    for section in sections:
        lines += ["", *(table.markdown() for table in section.tables)]
        for chart in section.charts:
            lines += [f"![{chart.title}]({pictures.draw(chart, folder)})", ""]
    path = page_of(folder, names)
    path.write_text("\n".join(lines).rstrip() + "\n")
    return path


def page_of(folder: Path, names: Sequence[str]) -> Path:
    """The page of these workloads: of all, without `names`, results.md."""
    return folder / f"{'-'.join(names) or 'results'}.md"


def may_replace(page: Path) -> bool:
    """Whether there is no such page yet, or it is a report: not one to which somebody has added text."""
    return not page.exists() or page.read_text().startswith(_TITLE)


def summary(sections: Sequence[Section]) -> list[str]:
    """Every bound of every workload with its requirement, its aim and the outcome."""
    rows = [(section.name.upper(), *bound.cells()) for section in sections for bound in section.bounds]
    musts = [bound for section in sections for bound in section.bounds if bound.must is not None]
    reached = sum(bound.holds for bound in musts)
    return ["## Bounds", "", *rows_of(("", *BOUND_COLUMNS), rows), "", f"{reached} of {len(musts)} musts are reached."]
