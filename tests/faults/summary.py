"""`python -m tests.faults.summary FOLDER…`: the reports of several runs as one Markdown table for docs/delivery.md."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from tests.faults.checker import Rule
from tests.faults.figures import Spread, seconds, table


def main() -> int:
    """Print it; 1 if any run was red."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.summary", description="Sum up fault runs.")
    parser.add_argument("folders", nargs="+", type=Path, help="of their reports")
    runs = [orjson.loads((folder / "figures.json").read_bytes()) for folder in parser.parse_args().folders]
    sys.stdout.write(summed_up(runs))
    return 1 if any(run["figures"]["violations"] for run in runs) else 0


def summed_up(runs: Sequence[dict[str, Any]]) -> str:
    """The two tables: totals with what is promised in figures, and how often each kind of fault struck."""
    kinds = Counter[str]()
    for run in runs:
        kinds.update({kind: did["times"] for kind, did in run["figures"]["faults"].items()})
    rows = [["fault", "times"], *([kind, str(times)] for kind, times in sorted(kinds.items()))]
    return f"{table(_totals(runs, kinds.total()))}\n\n{table(rows)}\n"


def _totals(runs: Sequence[dict[str, Any]], faults: int) -> list[list[str]]:
    def total(name: str) -> int:
        return sum(run["figures"][name] for run in runs)

    def of_all(name: str) -> list[float]:
        return [value for run in runs for value in run["samples"][name]]

    seeds = ", ".join(str(run["seed"]) for run in runs)
    hours = sum(run["duration_s"] for run in runs) / 3600
    rows = [
        ["what", "figure"],
        ["runs (seeds)", f"{len(runs)} ({seeds}), {hours:.1f} h"],
        ["faults", f"{faults:,}"],
        ["acknowledged", f"{total('acked'):,} (at least {min(run['figures']['acked'] for run in runs):,} a run)"],
        ["accepted by the queue", f"{total('accepted'):,}"],
        ["pushes", f"{total('deliveries'):,}, of them repeated on the wire {total('repeated'):,}"],
        ["gaps found, events read to repair them", f"{total('gaps_found'):,}, {total('gaps_repaired'):,}"],
    ]
    rows += [[str(rule), f"{sum(run['figures']['violations'].get(rule, 0) for run in runs):,}"] for rule in Rule]
    rows += [
        ["all well after kill −9, back-off included: p50 / p95 / max", _spread(of_all("recovery_after_kill_s"))],
        ["caught up after Redis is back: p50 / p95 / max", _spread(of_all("caught_up_after_redis_restart_s"))],
        ["deaf subscription noticed after: p50 / p95 / max", _spread(of_all("deafness_noticed_s"))],
    ]
    acks = Spread.of(of_all("ack_while_redis_is_down_s"))
    rows.append(["acks while Redis is down: p50 / p99", f"{seconds(acks.p50)} / {seconds(acks.p99)}"])
    returns = of_all("reconnects_in_rolling_restart")
    mean = f"{sum(returns) / len(returns):.2f}, {max(returns):.0f}" if returns else "–"
    return [*rows, ["reconnects a client in a rolling restart of 3 nodes: mean, max", mean]]


def _spread(values: Sequence[float]) -> str:
    """With how many there are."""
    spread = Spread.of(values)
    return " / ".join(map(seconds, (spread.p50, spread.p95, spread.most))) + f" (n = {len(values)})"


if __name__ == "__main__":
    sys.exit(main())
