"""`python -m tests.attacks --minutes N [--sources 1,10,100] [WORD…]`: exits with 1 if a bound did not hold."""

import argparse
import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.attacks.run import HEAD, IDLE_S, SOURCES, all_attacks, attack
from tests.attacks.system import run_system

OVERHEAD_S = 2.0
"""Of one attack: the start and end of its processes."""


async def _run(options: argparse.Namespace, folder: Path) -> int:
    attacks = list(all_attacks(options.words, options.sources))
    seconds = max(1.0, options.minutes * 60 / len(attacks) - IDLE_S - OVERHEAD_S)
    faults = 0
    async with run_system(folder / "system", max(options.sources)) as system:
        sys.stdout.write(f"{HEAD}\n")
        for name, sources in attacks:
            outcome = await attack(system, name, sources, seconds, folder)
            faults += bool(outcome.faults)
            sys.stdout.write(f"{outcome.row()}\n")
            sys.stdout.flush()
    sys.stdout.write(f"\n{len(attacks)} attacks of {seconds:.1f} s, {faults} beyond a bound.\n")
    return 1 if faults else 0


def main() -> int:
    """Run once."""
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description="Attack two nodes behind nginx.")
    parser.add_argument("words", nargs="*", metavar="WORD", help="only attacks with one of these words in their name")
    parser.add_argument("--minutes", type=float, default=10.0, help="for all attacks together (default: 10)")
    parser.add_argument(
        "--sources",
        type=lambda text: [int(number) for number in text.split(",")],
        default=list(SOURCES),
        help="numbers of attacking addresses (default: 1,10,100)",
    )
    options = parser.parse_args()
    with TemporaryDirectory(prefix="chat-gateway-attacks-") as folder:
        Path(folder).chmod(0o755)
        return asyncio.run(_run(options, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
