"""Charts as SVG files that are legible on light and dark pages."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot

from benchmarks.result import Chart, Figure, short

WIDTH_IN = 9.0
BAR_IN = 0.27
INK, PAPER, FAINT = "#1f2328", "#fffffe", "#d0d7de"
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7")
"""Colours that are distinguishable with colour blindness, on light and dark backgrounds (Okabe and Ito)."""
_DARK = {INK: "#e6edf3", PAPER: "#0d1117", FAINT: "#3d444d"}
"""Colours for a dark system. A viewer without support for it shows the light picture with its background."""

_STYLE: Any = {
    "axes.edgecolor": FAINT,
    "axes.facecolor": PAPER,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "figure.facecolor": PAPER,
    "font.size": 10.0,
    "grid.color": FAINT,
    "legend.facecolor": PAPER,
    "legend.edgecolor": FAINT,
    "svg.hashsalt": "chat-gateway",  # equal figures give equal files
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def draw(chart: Chart, folder: Path) -> str:
    """Write the picture; returns the name of its file."""
    name = f"{chart.name}.svg"
    bars = len(chart.groups) * len(chart.series)
    height = 4.2 if chart.x else 1.5 + BAR_IN * bars + 0.15 * len(chart.groups)
    with pyplot.rc_context(_STYLE):
        figure, axes = pyplot.subplots(figsize=(WIDTH_IN, height), layout="constrained")
        if chart.x:
            _draw_lines(axes, chart)
        else:
            _draw_bars(axes, chart)
        axes.set_title(chart.title, pad=12)
        axes.set_axisbelow(True)
        if len(chart.series) > 1 or chart.marks:
            figure.legend(loc="outside lower left", ncols=4, frameon=False)
        figure.savefig(folder / name, metadata={"Date": None})
        pyplot.close(figure)
    _make_dark_too(folder / name)
    return name


def _draw_bars(axes: Any, chart: Chart) -> None:
    """Rows of bars, the first group on top; whiskers show the lowest and the highest run."""
    height = 0.8 / len(chart.series)
    for place, (label, figures) in enumerate(chart.series.items()):
        at = [row + (place - (len(chart.series) - 1) / 2) * height for row in range(len(figures))]
        middles = [figure.median for figure in figures]
        axes.barh(at, middles, height * 0.9, label=label, color=COLOURS[place])
        axes.errorbar(middles, at, xerr=_whiskers(figures), fmt="none", ecolor=INK, elinewidth=0.8, capsize=2)
        for y, figure in zip(at, figures, strict=True):
            text, end = f"{short(figure.median)}", max(figure.runs)
            axes.annotate(text, (end, y), xytext=(5, 0), textcoords="offset points", va="center", fontsize=9)
    for place, (label, value) in enumerate(chart.marks.items()):
        axes.axvline(value, color=INK, linestyle=("--", ":")[place % 2], linewidth=1, label=label)
    axes.set_yticks(range(len(chart.groups)), chart.groups)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    if chart.is_logarithmic:
        axes.set_xscale("log")
    else:
        axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(_label)
    axes.set_xlabel(chart.unit)
    axes.grid(axis="x")


def _draw_lines(axes: Any, chart: Chart) -> None:
    for place, (label, figures) in enumerate(chart.series.items()):
        middles = [figure.median for figure in figures]
        axes.plot(chart.x, middles, label=label, color=COLOURS[place], marker="o", markersize=4)
        axes.errorbar(chart.x, middles, yerr=_whiskers(figures), fmt="none", ecolor=INK, elinewidth=0.8, capsize=2)
    for place, (label, value) in enumerate(chart.marks.items()):
        axes.axhline(value, color=INK, linestyle=("--", ":")[place % 2], linewidth=1, label=label)
    if chart.is_logarithmic:
        axes.set_xscale("log")
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
        axes.set_xticks(chart.x)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(_label)
    axes.set_xlabel(chart.x_unit)
    axes.set_ylabel(chart.unit)
    axes.grid()


def _label(value: float, _: object) -> str:
    return f"{value:,.9g}"


def _whiskers(figures: Any) -> list[list[float]]:
    runs: list[Figure] = list(figures)
    return [[one.median - min(one.runs) for one in runs], [max(one.runs) - one.median for one in runs]]


def _make_dark_too(path: Path) -> None:
    """Define in the file the three greys for a dark system."""
    rules = [
        f'[style*="{kind}: {light}"]{{{kind}:{dark}!important}}'
        for light, dark in _DARK.items()
        for kind in ("fill", "stroke")
    ]
    style = f"<style>@media (prefers-color-scheme: dark){{{''.join(rules)}}}</style>"
    head, end, rest = path.read_text().partition(" <metadata>")
    path.write_text(f"{head} {style}\n{end}{rest}")
