"""`python -m benchmarks [w1 …] [--quick]`: run the workloads, print their tables, write docs/benchmarks/."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import machine, w1, w2, w3
from benchmarks.measured import keep_off_the_server_core
from benchmarks.result import Table

WORKLOADS: dict[str, Callable[[Path, bool], Sequence[Table]]] = {
    "w1": w1.run,
    "w2": w2.run,  # and W5
    "w3": w3.run,  # and W4
}
RESULTS = Path(__file__).parents[1] / "docs" / "benchmarks"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; exit code 1 if a must is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("workloads", nargs="*", choices=[*WORKLOADS, []], help="default: all")
    parser.add_argument("--quick", action="store_true", help="fewer runs, and no peers that are slow to start")
    options = parser.parse_args(arguments)
    keep_off_the_server_core()
    RESULTS.mkdir(parents=True, exist_ok=True)
    holds = True
    for name in options.workloads or WORKLOADS:
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f"chat-gateway-{name}-") as folder:
            tables = WORKLOADS[name](Path(folder), options.quick)
        text = "\n".join(table.markdown() for table in tables)
        sys.stdout.write(f"\n{text}\n({name}: {time.monotonic() - start:.0f} s)\n")
        if not options.quick:
            (RESULTS / f"{name}.md").write_text(f"{text}\n{machine.describe()}\n")
        holds &= all(bound.holds for table in tables for bound in table.bounds if bound.is_must)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
