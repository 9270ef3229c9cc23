"""One step in the processing of a message: measurement and presentation of its cost."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks.result import Chart, Figure, Table

BURST = 50
RUNS = 7


@dataclass(frozen=True, slots=True)
class Step:
    """CPU time per message in µs: of this process and of the server behind it, if there is one."""

    name: str
    code: str
    alone: Figure
    burst: Figure
    behind: str = ""
    behind_alone: Figure | None = None
    behind_burst: Figure | None = None


def timed(call: Callable[[], object], times: int, messages: int = 1) -> Figure:
    """CPU time per message in µs of a call that handles this number of messages."""
    costs = []
    for _ in range(RUNS + 1):
        begun = time.thread_time_ns()
        for _ in range(times):
            call()
        costs.append((time.thread_time_ns() - begun) / times / messages / 1000)
    return Figure(tuple(costs[1:]))


async def remote(
    name: str,
    code: str,
    batch: Callable[[int], Awaitable[None]],
    behind: str,
    behind_cpu_s: Callable[[], float],
    rounds: int,
) -> Step:
    """A step that uses a server: single messages, then BURST at a time."""
    found: list[Figure] = []
    for count, times in ((1, rounds * 5), (BURST, rounds)):
        ours, theirs = [], []
        for _ in range(RUNS + 1):
            began, behind_began = time.process_time(), behind_cpu_s()
            for _ in range(times):
                await batch(count)
            ours.append((time.process_time() - began) / times / count * 1e6)
            theirs.append((behind_cpu_s() - behind_began) / times / count * 1e6)
        found += [Figure(tuple(ours[1:])), Figure(tuple(theirs[1:]))]
    alone, behind_alone, burst, behind_burst = found
    return Step(name, code, alone, burst, behind, behind_alone, behind_burst)


def quartiles(figure: Figure) -> Figure:
    """The middle half of many runs, of which the slowest were disturbed by other processes."""
    runs = sorted(figure.runs)
    return Figure(tuple(runs[len(runs) // 4 : len(runs) * 3 // 4]))


def table_of(steps: list[Step]) -> Table:
    """All steps and their total cost."""
    rows: list[tuple[object, ...]] = []
    for step in steps:
        rows.append((step.name, step.code, "gateway", step.alone, step.burst))
        if step.behind_alone is not None:
            rows.append(("", "", step.behind, step.behind_alone, step.behind_burst))
    own = [step for step in steps if not step.name.startswith("of that")]
    alone, burst = sum(step.alone.median for step in own), sum(step.burst.median for step in own)
    rows.append(("**all of the gateway's**", "", "gateway", Figure((alone,)), Figure((burst,))))
    return Table(
        "Steps: one message to one reader, CPU µs",
        ("step", "what was run", "whose CPU", "alone", f"in a burst of {BURST}"),
        rows,
        notes=[
            "Each step by itself, in a loop, with warm caches. W2 has in addition: reads and turns of the event loop, "
            "the session's task, presence, metrics and the log; and a second delivery, to the writer itself."
        ],
    )


def chart_of(steps: list[Step]) -> Chart:
    """All steps as a chart."""
    own = [step for step in steps if not step.name.startswith("of that")]
    series = {"alone": [step.alone for step in own], f"in a burst of {BURST}": [step.burst for step in own]}
    title = "One message to one reader: the gateway's CPU, step by step"
    return Chart("steps", title, "µs (logarithmic)", [step.name for step in own], series, True)
