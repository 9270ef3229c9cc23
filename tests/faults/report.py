"""The report of a run in Markdown, on the terminal and in its folder."""

import math
from dataclasses import asdict
from pathlib import Path

import orjson

from tests.faults.checker import Rule
from tests.faults.figures import Figures, Spread, figures, seconds, table
from tests.faults.plots import draw
from tests.faults.run import Outcome
from tests.faults.samples import samples

SHOWN = 20
"""The number of violations that are listed individually."""


def write_report(outcome: Outcome, folder: Path) -> None:
    """`report.md` with its pictures, its figures and faults as JSON, and the history as `history.jsonl`."""
    pictures = "".join(f"\n![{name.removesuffix('.svg')}]({name})\n" for name in draw(outcome, folder))
    (folder / "report.md").write_text(f"# Fault run\n\n{summary(outcome)}{pictures}")
    told = {
        "seed": outcome.seed,
        "duration_s": outcome.duration_s,
        "figures": asdict(figures(outcome)),
        "samples": asdict(samples(outcome, sorted({name for _, name in outcome.history.ends}))),
    }
    (folder / "figures.json").write_bytes(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    (folder / "faults.json").write_bytes(orjson.dumps([asdict(struck) for struck in outcome.struck]))
    outcome.history.write(folder / "history.jsonl")


def summary(outcome: Outcome) -> str:
    """The tables, and the first violations."""
    found = figures(outcome)
    parts = [_verdict(outcome), table(_totals(found)), table(_faults(found))]
    if outcome.violations:
        shown = [f"- {v.rule} in chat {v.chat}: {v.what}" for v in outcome.violations[:SHOWN]]
        parts.append("\n".join(["Violations:", *shown]))
    return "\n\n".join(parts) + "\n"


def _verdict(outcome: Outcome) -> str:
    verdict = "red" if outcome.violations else "green"
    return (
        f"**{verdict}**: {len(outcome.violations)} violations, {len(outcome.struck)} faults, {outcome.duration_s:.0f} s"
    )


def _totals(found: Figures) -> list[list[str]]:
    rows = [["what", "figure"], ["attempted", f"{found.attempted:,}"], ["acknowledged", f"{found.acked:,}"]]
    rows.append(["accepted by the queue", f"{found.accepted:,}"])
    rows += [[str(rule), f"{found.violations.get(rule, 0):,}"] for rule in Rule]
    return [
        *rows,
        ["ack latency p50 / p95 / p99 / max", _spread(found.ack_s)],
        ["delivery lag p50 / p95 / p99 / max", _spread(found.lag_s)],
        ["deliveries", f"{found.deliveries:,}"],
        ["of them repeated on the wire", f"{found.repeated:,}"],
        ["reconnects", f"{found.reconnects:,}"],
        ["gaps found", f"{found.gaps_found:,}"],
        ["events read to repair them", f"{found.gaps_repaired:,}"],
    ]


def _faults(found: Figures) -> list[list[str]]:
    """Times as median / 95th percentile."""
    head = ["fault", "times", "all well again after", "after it was healed", "acks meanwhile", "reconnects"]
    rows = [head]
    for kind, did in found.faults.items():
        spreads = map(_short, (did.recovery_s, did.after_healing_s, did.ack_s))
        rows.append([kind, str(did.times), *spreads, f"{did.reconnects:.0f}"])
    return rows


def _short(spread: Spread) -> str:
    """The median and the 95th percentile."""
    return "" if math.isnan(spread.p50) else f"{seconds(spread.p50)} / {seconds(spread.p95)}"


def _spread(spread: Spread) -> str:
    return " / ".join(map(seconds, (spread.p50, spread.p95, spread.p99, spread.most)))
