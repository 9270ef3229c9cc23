"""CPU time and memory of processes, read from the kernel, their cores, and the side that limited a measurement.

The measured server has its own core. Everything else, including the load and the databases, has the other cores.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

SERVER_CORE = 0
BUSY = 0.9
"""A side that is busy for this share of the time is at its limit."""


def keep_off_the_server_core() -> None:
    """Reserve SERVER_CORE for the server, for this process and its children."""
    others = os.sched_getaffinity(0) - {SERVER_CORE}
    if not others:
        raise SystemExit("The benchmarks need two cores: one for the server, one for the load.")
    os.sched_setaffinity(0, others)


@dataclass(frozen=True, slots=True)
class Measured:
    """A running process."""

    pid: int

    @classmethod
    def alone(cls, pid: int) -> Self:
        """Move the process with all threads to the core of the server."""
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {SERVER_CORE})
        return cls(pid)

    @property
    def cpu_s(self) -> float:
        """CPU time used by its threads so far."""
        runs = (task / "schedstat" for task in Path(f"/proc/{self.pid}/task").iterdir())
        return sum(int(run.read_text().split()[0]) for run in runs) / 1e9

    @property
    def rss_bytes(self) -> int:
        """Its resident memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Spent:
    """What a measurement used. `load` (busy load side) and `others` (busy other cores) are shares of the time."""

    seconds: float
    each_cpu_s: tuple[float, ...]
    """CPU time of each measured server."""
    load: float
    others: float
    behind_cpu_s: Mapping[str, float] = field(default_factory=dict)
    """CPU time of the servers behind the measured ones, by their names."""

    @property
    def cpu_s(self) -> float:
        """CPU time of all measured servers."""
        return sum(self.each_cpu_s)

    @property
    def server(self) -> float:
        """The share of time that the servers were busy; they share one core."""
        return self.cpu_s / self.seconds

    @property
    def limit(self) -> str:
        """The side that limited the rate. If it was not the server, the rate is only a lower bound of its capacity."""
        if self.server >= BUSY:
            return "server"
        if self.load >= BUSY or (self.load >= BUSY / 2 and self.load > self.server):
            return "load side"
        return "other cores" if self.others >= BUSY else ""


class Meter:
    """Reads the servers, the load and the other cores of a measurement at the same time."""

    def __init__(
        self,
        load_busy_s: Callable[[], float],
        *servers: Measured,
        behind: Mapping[str, Callable[[], float]] | None = None,
    ) -> None:
        """`load_busy_s` returns the seconds that the load side has been busy, `behind` CPU times of other servers."""
        self._load_busy_s = load_busy_s
        self._servers = servers
        self._behind = behind or {}
        self.start()

    def start(self) -> None:
        """Begin a measurement."""
        self._behind_mark = {name: cpu_s() for name, cpu_s in self._behind.items()}
        self._mark = self._read()

    def stop(self) -> Spent:
        """What was used since `start`."""
        (at, servers, load, others), (at0, servers0, load0, others0) = self._read(), self._mark
        seconds = at - at0
        each = tuple(now - then for now, then in zip(servers, servers0, strict=True))
        behind = {name: cpu_s() - self._behind_mark[name] for name, cpu_s in self._behind.items()}
        return Spent(seconds, each, (load - load0) / seconds, (others - others0) / seconds, behind)

    def _read(self) -> tuple[float, tuple[float, ...], float, float]:
        servers = tuple(server.cpu_s for server in self._servers)
        return time.monotonic(), servers, self._load_busy_s(), _others_cpu_s()


def _others_cpu_s() -> float:
    """Average busy time of all cores but that of the server."""
    tick = os.sysconf("SC_CLK_TCK")
    busy = []
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) != SERVER_CORE:
            user, nice, system, _idle, _waiting, *interrupts = map(int, ticks[:7])
            busy.append((user + nice + system + sum(interrupts)) / tick)
    return sum(busy) / len(busy)
