"""A million malformed frames to one node: its memory stays flat, its log bounded, and neighbours are hardly delayed."""

import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.server.log_sampling import LINES_A_SECOND, RECORDS, RECORDS_A_SECOND
from tests.e2e.neighbour import Waits
from tests.support.cluster import Cluster, GatewayNode, run_cluster
from tests.support.python_process import PythonProcess

FRAMES = 1_000_000
WARM_UP = 100_000
SOCKETS = 10
WINDOW_S = 10.0
GROWTH = 1.05
EVENTS = 20
"""Different events that the node logs meanwhile; it logs fewer."""
REJECTIONS = {"1002", "1007", "1009", "4429"}


@pytest.fixture
async def cluster(tmp_path: Path, redis_url: str, sqlite_url: str) -> AsyncIterator[Cluster]:
    """Two nodes: one is attacked, the other is the control."""
    async with run_cluster(tmp_path, redis_url, sqlite_url) as cluster:
        yield cluster


def rejected_commands(node: GatewayNode) -> int:
    """Commands that the node has answered with an error, by its own count."""
    lines = httpx.get(f"{node.url}/metrics", trust_env=False).text.splitlines()
    counts = [line for line in lines if line.startswith("chat_gateway_commands_total{") and 'outcome="ok"' not in line]
    return round(sum(float(line.rsplit(" ", 1)[1]) for line in counts))


def resident_kib(node: GatewayNode) -> int:
    """The node's memory."""
    return int(Path(f"/proc/{node.pid}/status").read_text().partition("VmRSS:")[2].split()[0])


class Attack:
    """Malformed frames in windows of some seconds, each with the waits of a neighbour on either node."""

    def __init__(self, cluster: Cluster) -> None:
        self._node = cluster.nodes[0]
        self._ports = [node.port for node in cluster.nodes]
        self._seed = 0
        self.codes: Counter[str] = Counter()
        self.waits: list[tuple[Waits, Waits]] = []

    async def idle(self) -> Waits:
        """A neighbour's waits without an attack."""
        async with PythonProcess.running("tests.e2e.neighbour", WINDOW_S, *self._ports) as neighbour:
            neighbour.go()
            return Waits.of((await neighbour.report())[0])

    @property
    def rejected(self) -> int:
        """Frames that the node has rejected: as a command, or by closing the connection."""
        return rejected_commands(self._node) + sum(self.codes[code] for code in REJECTIONS - {"4429"})

    async def until(self, frames: int) -> None:
        """Attack until so many frames are rejected."""
        while self.rejected < frames:
            self._seed += 1
            sender = ("tests.e2e.malformed", self._ports[0], SOCKETS, WINDOW_S, self._seed)
            async with (
                PythonProcess.running("tests.e2e.neighbour", WINDOW_S, *self._ports) as neighbour,
                PythonProcess.running(*sender) as attacker,
            ):
                attacker.go()
                neighbour.go()
                here, there = map(Waits.of, await neighbour.report())
                self.codes.update((await attacker.report())["codes"])
                self.waits.append((here, there))

    def slow_windows(self, idle: Waits) -> list[tuple[Waits, Waits]]:
        """The windows in which the attacked node's neighbour waited for too long."""
        return [(here, there) for here, there in self.waits if here.p99 > 3 * max(idle.p99, there.p99) + 10]


async def attack(cluster: Cluster, warm_up: int, frames: int) -> str:
    """Attack, and check all bounds; returns the figures."""
    node, attacker = cluster.nodes[0], Attack(cluster)
    idle = await attacker.idle()
    started = time.monotonic()
    await attacker.until(warm_up)
    warm = resident_kib(node)
    await attacker.until(frames)
    grown = resident_kib(node)
    seconds = time.monotonic() - started
    lines = node.log.count("\n")
    slow = attacker.slow_windows(idle)
    p99 = sorted(here.p99 for here, _ in attacker.waits)
    control = sorted(there.p99 for _, there in attacker.waits)
    figures = (
        f"{attacker.rejected} frames rejected in {seconds:.0f} s, closes {dict(attacker.codes)}; "
        f"RSS {warm / 1024:.1f} → {grown / 1024:.1f} MiB; p99 idle {idle.p99:.1f} ms, "
        f"of {len(p99)} windows median {p99[len(p99) // 2]:.1f} ms, worst {p99[-1]:.1f} ms, "
        f"on the other node {control[len(p99) // 2]:.1f} and {control[-1]:.1f} ms, "
        f"{len(slow)} over the bound; {lines} log lines, {len(node.log) / 1e6:.1f} MB"
    )
    assert node.is_up() and "Traceback" not in node.log, figures
    assert set(attacker.codes) >= REJECTIONS and attacker.codes["cut"] < sum(attacker.codes.values()) / 10, figures
    assert grown <= GROWTH * warm, figures
    assert 3 * len(slow) <= len(p99), f"{figures}: {slow}"  # now and then something else delays a node
    assert lines <= (seconds + 10) * (EVENTS * LINES_A_SECOND + len(RECORDS) * RECORDS_A_SECOND), figures
    return figures


@pytest.mark.alone
@pytest.mark.full
@pytest.mark.timeout(3600)
async def test_million_malformed_frames_change_nothing(cluster: Cluster) -> None:
    figures = await attack(cluster, WARM_UP, FRAMES)
    sys.stdout.write(f"{figures}\n")  # pytest -rP shows them


async def test_malformed_frames_are_rejected_and_counted(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    async with PythonProcess.running("tests.e2e.malformed", node.port, SOCKETS, 2, 1) as sender:
        sender.go()
        report = await sender.report()
    assert report["frames"] > 100 and REJECTIONS & set(report["codes"])
    assert rejected_commands(node) > 100
    assert node.is_up() and "Traceback" not in node.log
