"""The report of one run: results.md and its pictures, or a page of the workloads that were named."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine, pictures
from benchmarks.result import BOUND_COLUMNS, Section, rows_of


def write(
    sections: Sequence[Section], folder: Path, *, command: str, minutes: float, names: Sequence[str] = ()
) -> Path:
    """Write the report, replacing an earlier one of the same workloads; returns its path.

    Without `names` it is of all workloads: results.md. The pictures of others stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in () if names else folder.glob("*.svg"):
        old.unlink()
    lines = [
        f"# Benchmarks: {', '.join(names) or 'results'}",
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
    path = folder / f"{'-'.join(names) or 'results'}.md"
    path.write_text("\n".join(lines).rstrip() + "\n")
    return path


def summary(sections: Sequence[Section]) -> list[str]:
    """Every bound of every workload with its requirement, its aim and the outcome."""
    rows = [(section.name.upper(), *bound.cells()) for section in sections for bound in section.bounds]
    musts = [bound for section in sections for bound in section.bounds if bound.must is not None]
    reached = sum(bound.holds for bound in musts)
    return ["## Bounds", "", *rows_of(("", *BOUND_COLUMNS), rows), "", f"{reached} of {len(musts)} musts are reached."]
