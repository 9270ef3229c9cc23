"""One attack after the other, each with a control."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from tests.attacks.attacker import ATTACKS
from tests.attacks.system import System
from tests.e2e.flooder import KINDS
from tests.e2e.neighbour import Waits
from tests.support.cluster import GatewayNode
from tests.support.python_process import PythonProcess

NAMES = (*KINDS, *ATTACKS)
SOURCES = (1, 10, 100)
IDLE_S = 1.0
LIVEZ_MS = 500
MAX_RATIO, MAX_MORE_MS = 3, 10
"""What a neighbour's p99 may become: this many times the control's, and so much more."""


@dataclass(frozen=True)
class Outcome:
    """What one attack got, and what it cost."""

    name: str
    sources: int
    got: Counter[str]
    """How often each status, close code or error code was received."""
    megabytes: float | None
    control: Waits
    """The worse of the attacked nodes before, and of the control meanwhile."""
    neighbour: Waits
    """The worse of both attacked nodes."""
    growth_mb: float
    """Of the memory of both attacked nodes together."""
    log_lines: int
    """Of both."""
    owner: int
    """The status of the victim's login meanwhile."""

    @property
    def faults(self) -> list[str]:
        """The bounds that did not hold."""
        bound = MAX_RATIO * self.control.p99 + MAX_MORE_MS
        faults = [] if self.neighbour.p99 <= bound else [f"a neighbour's p99 is more than {bound:.1f} ms"]
        if self.neighbour.livez > max(LIVEZ_MS, MAX_RATIO * self.control.livez):
            faults.append("/livez is slow")
        if self.owner != 200:
            faults.append("the owner of the account does not get in")
        return faults

    def row(self) -> str:
        """A row of the table that is printed."""
        got = ", ".join(f"{code}: {count:,}" for code, count in self.got.most_common(5))
        sent = "" if self.megabytes is None else f" ({self.megabytes:,.0f} MB sent)"
        cells = (
            self.name,
            str(self.sources),
            f"{got or 'nothing'}{sent}",
            f"{self.control.p99:.1f}, {self.control.cpu:.1f}",
            f"{self.neighbour.p99:.1f}, {self.neighbour.cpu:.1f}",
            f"{self.neighbour.livez:.0f}",
            f"{self.growth_mb:+.0f}",
            f"{self.log_lines:,}",
            "; ".join(self.faults),
        )
        return f"| {' | '.join(cells)} |"


HEAD = """| attack | sources | what it got | control p99, CPU | neighbour p99, CPU | /livez | MB | log lines | faults |
|---|---|---|---|---|---|---|---|---|"""


async def attack(system: System, name: str, sources: int, seconds: float, folder: Path) -> Outcome:
    """Attack both nodes through the balancer for so long."""
    async with PythonProcess.running("tests.e2e.neighbour", IDLE_S, *system.nodes) as neighbour:
        neighbour.go()
        idle = [Waits.of(report) for report in await neighbour.report()]
    memory = sum(map(_resident_mb, system.attacked))
    lines = sum(map(_log_lines, system.attacked))
    async with (
        PythonProcess.running("tests.e2e.neighbour", seconds, *system.nodes) as neighbour,
        PythonProcess.running(*_attacker(system, name, sources, seconds, folder)) as attacker,
    ):
        attacker.go()
        neighbour.go()
        owner = await system.owner_logs_in()
        here, there, apart = (Waits.of(report) for report in await neighbour.report())
        got: dict[str, Any] = await attacker.report()
    return Outcome(
        name,
        sources,
        Counter(got["codes"]),
        got["bytes"] / 1e6 if "bytes" in got else None,
        _worst([*idle, apart]),
        _worst([here, there]),
        sum(map(_resident_mb, system.attacked)) - memory,
        sum(map(_log_lines, system.attacked)) - lines,
        owner,
    )


def all_attacks(words: Sequence[str], sources: Sequence[int]) -> Iterator[tuple[str, int]]:
    """Each attack whose name has one of the words (or every one), from each number of sources."""
    for name in NAMES:
        if not words or any(re.search(word, name) for word in words):
            yield from ((name, number) for number in sources)


def _attacker(system: System, name: str, sources: int, seconds: float, folder: Path) -> tuple[object, ...]:
    if name in KINDS:
        token = system.plan.tokens[0]
        return "tests.e2e.flooder", system.balancer.port, name, sources, seconds, token, sources
    path = folder / "plan.json"
    system.plan.write(path)
    return "tests.attacks.attacker", name, sources, seconds, path


def _worst(waits: Sequence[Waits]) -> Waits:
    return Waits(*(max(values) for values in zip(*map(astuple, waits), strict=True)))


def _resident_mb(node: GatewayNode) -> float:
    status = Path(f"/proc/{node.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def _log_lines(node: GatewayNode) -> int:
    return node.log.count("\n")
