"""Fuzzes the targets one after the other, and prints what fails as a test case."""

import argparse
import asyncio
import secrets
import sys
from pathlib import Path

from tests.fuzz.campaign import load, reason_of, run, save
from tests.fuzz.case import Case
from tests.fuzz.target_list import TARGETS

FOUND = Path(__file__).parents[2] / "build" / "fuzz"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def _campaigns(names: list[str], seed: int, seconds: float) -> int:
    """The number of targets that failed."""
    failed = 0
    for name in names:
        async with TARGETS[name]() as target:
            report = await run(target, seed, seconds)
        _say(str(report))
        if report.failure is not None:
            failed += 1
            path = save(report.failure, FOUND)
            _say(f"Saved as {path}; run it again with --case. For tests/fuzz/regressions.py:\n\n{report.failure.test}")
    return failed


async def _again(name: str, case: Case) -> int:
    async with TARGETS[name]() as target:
        reason = await reason_of(target, case)
    _say(f"{name}: {reason or 'does not fail'}")
    return int(bool(reason))


def main() -> int:
    """0 if nothing failed."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="target", help=", ".join(TARGETS))
    parser.add_argument("--minutes", type=float, default=1.0, help="for all targets together (default: 1)")
    parser.add_argument("--seed", type=int, help="a number; by default another one in every run")
    parser.add_argument("--case", type=Path, help="a saved case, to be run once")
    arguments = parser.parse_args()
    if arguments.case is not None:
        return asyncio.run(_again(*load(arguments.case)))
    unknown = set(arguments.targets) - set(TARGETS)
    if unknown:
        parser.error(f"unknown target: {', '.join(sorted(unknown))}")
    names = arguments.targets or list(TARGETS)
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    _say(f"seed {seed}")
    return min(1, asyncio.run(_campaigns(names, seed, arguments.minutes * 60 / len(names))))


if __name__ == "__main__":
    sys.exit(main())
