"""`python -m benchmarks [w1 …] [--quick] [--report FOLDER]`: run workloads, print their tables, write the report."""

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import machine, report
from benchmarks.measured import keep_off_the_server_core
from benchmarks.progress import Progress
from benchmarks.result import Section, Table
from benchmarks.workloads import growth, hooks, idle, model, rooms, steps, w1, w2, w3, w6
from gateway.server import interpreter

Workload = Callable[[Path, bool, Progress], Section]

WORKLOADS: dict[str, tuple[Workload, Callable[[bool], int]]] = {
    "w1": (w1.run, w1.count_steps),
    "w2": (w2.run, w2.count_steps),  # and W5
    "w3": (w3.run, w3.count_steps),  # and W4
    "hooks": (hooks.run, hooks.count_steps),  # W7
    "w6": (w6.run, w6.count_steps),
    "steps": (steps.run, steps.count_steps),
}
LONG: dict[str, tuple[Workload, Callable[[bool], int]]] = {
    "growth": (growth.run, growth.count_steps),
    "rooms": (rooms.run, rooms.count_steps),
    "idle": (idle.run, idle.count_steps),
}
"""Workloads that run only if they are named."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the selected workloads; exit code 1 if a required bound is missed."""
    parser = argparse.ArgumentParser(prog="scripts/benchmarks")
    parser.add_argument(
        "workloads", nargs="*", choices=[*WORKLOADS, *LONG, []], help="default: all but growth, idle and rooms"
    )
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs; in W1 no peers")
    parser.add_argument(
        "--report", type=Path, metavar="FOLDER", help="write a report there: results.md, or one of the named workloads"
    )
    options = parser.parse_args(arguments)
    if options.report is not None:
        page = report.page_of(options.report, options.workloads)
        if not report.may_replace(page):
            parser.error(f"{page} is no report: it has text of its own. Name another folder.")
    keep_off_the_server_core()
    if slowness := interpreter.slowness():
        sys.stderr.write(f"{slowness}\n")
    names = options.workloads or list(WORKLOADS)
    began = time.monotonic()
    progress = Progress(sum((WORKLOADS | LONG)[name][1](options.quick) for name in names))
    sections = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix=f"chat-gateway-{name}-") as folder:
            sections.append(_run(name, Path(folder), options.quick, progress))
    progress.end()
    costs = model.costs_of(sections)
    if costs is not None:
        sections.append(model.section(costs))
    for section in sections:
        sys.stdout.write("\n" + "\n".join(table.markdown() for table in section.tables))
    sys.stdout.write("\n" + "\n".join([*report.summary(sections), "", machine.describe()]) + "\n")
    if options.report is not None:
        command = " ".join(["python -m benchmarks", *(sys.argv[1:] if arguments is None else arguments)])
        minutes = (time.monotonic() - began) / 60
        report.write(sections, options.report, command=command, minutes=minutes, names=options.workloads)
    return 0 if all(section.is_whole and all(bound.holds for bound in section.bounds) for section in sections) else 1


def _run(name: str, folder: Path, quick: bool, progress: Progress) -> Section:
    """The section of the workload. A failing workload must not discard the results of the others."""
    try:
        return (WORKLOADS | LONG)[name][0](folder, quick, progress)
    except Exception as error:
        traceback.print_exc()
        return Section(name, [Table(f"{name.upper()} failed", (), (), notes=[repr(error)])], is_whole=False)


if __name__ == "__main__":
    sys.exit(main())
