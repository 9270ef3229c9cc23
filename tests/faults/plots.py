"""Charts of a run on one time axis: faults, ack latency, delivery lag, gaps found and repaired. SVG files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot

from tests.faults.figures import ack_times, lags
from tests.faults.run import Outcome

WIDTH_IN, HEIGHT_IN = 11.0, 3.2
BIN_S = 1.0
_FAULT, _UNWELL, _MEDIAN, _WORST = "#c0392b", "#f5b7b1", "#2471a3", "#e67e22"


def draw(outcome: Outcome, folder: Path) -> list[str]:
    """Write the pictures; returns the names of their files."""
    pictures: dict[str, Callable[[Any, Outcome], None]] = {
        "faults.svg": _draw_faults,
        "ack-latency.svg": _draw_acks,
        "delivery-lag.svg": _draw_lags,
        "gaps.svg": _draw_gaps,
    }
    for name, picture in pictures.items():
        kinds = len({struck.kind for struck in outcome.struck})
        height = max(HEIGHT_IN, 0.25 * kinds + 1) if picture is _draw_faults else HEIGHT_IN
        figure, axes = pyplot.subplots(figsize=(WIDTH_IN, height), layout="constrained")
        picture(axes, outcome)
        axes.set_xlim(0, outcome.duration_s)
        axes.set_xlabel("seconds after the start")
        axes.grid(alpha=0.3)
        figure.savefig(folder / name)
        pyplot.close(figure)
    return list(pictures)


def _draw_faults(axes: Any, outcome: Outcome) -> None:
    """A bar for each fault, and a paler one until everybody was well again."""
    kinds = sorted({struck.kind.value for struck in outcome.struck}, reverse=True)
    for struck in outcome.struck:
        row, healed = kinds.index(struck.kind.value), struck.healed or outcome.duration_s
        axes.barh(row, max(healed - struck.began, 0.3), left=struck.began, height=0.6, color=_FAULT)
        axes.barh(row, (struck.well or outcome.duration_s) - healed, left=healed, height=0.6, color=_UNWELL)
    axes.set_yticks(range(len(kinds)), kinds)
    axes.set_title("faults, and how long after them somebody was still unwell")


def _draw_acks(axes: Any, outcome: Outcome) -> None:
    _shade(axes, outcome)
    _draw_times(axes, ack_times(outcome), "ack latency: from the first offer to the acknowledgement")


def _draw_lags(axes: Any, outcome: Outcome) -> None:
    _shade(axes, outcome)
    _draw_times(axes, lags(outcome), "delivery lag: from the sender's acknowledgement to the others")


def _draw_gaps(axes: Any, outcome: Outcome) -> None:
    _shade(axes, outcome)
    times, found, repaired = zip(*outcome.gaps, strict=True) if outcome.gaps else ((), (), ())
    axes.step(times, found, where="post", color=_WORST, label="gaps found")
    axes.step(times, repaired, where="post", color=_MEDIAN, label="events read to repair them")
    axes.legend(loc="upper left")
    axes.set_title("gaps, over all nodes, so far")


def _shade(axes: Any, outcome: Outcome) -> None:
    for struck in outcome.struck:
        healed = struck.healed or outcome.duration_s
        axes.axvspan(struck.began, max(healed, struck.began + 0.3), color=_FAULT, alpha=0.12, linewidth=0)


def _draw_times(axes: Any, points: Sequence[tuple[float, float]], title: str) -> None:
    """Median and maximum of each second, in milliseconds, on a logarithmic scale."""
    bins: dict[int, list[float]] = {}
    for at, seconds in points:
        bins.setdefault(int(at / BIN_S), []).append(seconds * 1000)
    when = sorted(bins)
    middles = [sorted(bins[second])[len(bins[second]) // 2] for second in when]
    axes.plot([second * BIN_S for second in when], [max(bins[s]) for s in when], color=_WORST, label="worst", lw=0.8)
    axes.plot([second * BIN_S for second in when], middles, color=_MEDIAN, label="median", lw=0.8)
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylabel("ms")
    axes.legend(loc="upper left")
    axes.set_title(title)
