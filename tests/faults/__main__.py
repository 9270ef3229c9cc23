"""`python -m tests.faults --minutes N --seed S [--mutation M]`: exits with 1 if a guarantee was broken."""

import argparse
import asyncio
import logging
import sys
from dataclasses import replace
from pathlib import Path

import uvloop

from tests.faults.directed import DIRECTED, run_directed
from tests.faults.faults import possible_kinds
from tests.faults.mutations import Mutation
from tests.faults.report import summary, write_report
from tests.faults.rig import make_folder
from tests.faults.run import FULL, run
from tests.faults.schedule import plan


def main() -> int:
    """Run once."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Break everything, and lose nothing.")
    parser.add_argument("--minutes", type=float, default=2.0, help="how long to write (default: 2)")
    parser.add_argument("--seed", type=int, default=1, help="of the faults' schedule (default: 1)")
    parser.add_argument("--mutation", type=Mutation, choices=list(Mutation), help="break this rule: expect red")
    parser.add_argument("--only", default="", metavar="WORD", help="only kinds of faults with this word in their name")
    parser.add_argument("--chats", type=int, default=FULL.chats)
    parser.add_argument("--members", type=int, default=FULL.members, help="of each chat")
    parser.add_argument("--rate", type=float, default=FULL.rate, help="messages a second")
    parser.add_argument("--report", type=Path, default=Path("fault-report"), help="the report's folder")
    options = parser.parse_args()
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # of brokers that we kill
    folder = make_folder(options.report.absolute())  # servers have folders of their own to run in
    if options.mutation:
        work = run_directed(folder / "system", DIRECTED[options.mutation], options.mutation)
    else:
        kinds = [kind for kind in possible_kinds() if options.only in kind]
        load = replace(FULL, chats=options.chats, members=options.members, rate=options.rate)
        work = run(
            make_folder(folder / "system"),
            plan(options.seed, options.minutes * 60, kinds),
            writing_s=options.minutes * 60,
            load=load,
            seed=options.seed,
        )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        outcome = runner.run(work)
    write_report(outcome, folder)
    sys.stdout.write("\n" + summary(outcome))
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
