"""What processes use: CPU time and memory, read from the kernel; which core they may use; and what the limit was.

The server that is measured has a core of its own. Everything else, the load and the databases included, has the others.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

SERVER_CORE = 0
BUSY = 0.9
"""A side that works for so much of the time is at its limit."""


def keep_off_the_server_core() -> None:
    """Leave SERVER_CORE to the server: for this process and all that it starts."""
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
        """Move the process, with all of its threads, to the server's core."""
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {SERVER_CORE})
        return cls(pid)

    @property
    def cpu_s(self) -> float:
        """CPU time that its threads have used so far."""
        runs = (task / "schedstat" for task in Path(f"/proc/{self.pid}/task").iterdir())
        return sum(int(run.read_text().split()[0]) for run in runs) / 1e9

    @property
    def rss_bytes(self) -> int:
        """Memory that it occupies."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Spent:
    """What a measurement took. `load`, what it had to do, and `others`, all other cores, are shares of the time."""

    seconds: float
    each_cpu_s: tuple[float, ...]
    """CPU time of each server that is measured."""
    load: float
    others: float

    @property
    def cpu_s(self) -> float:
        """Of all of them."""
        return sum(self.each_cpu_s)

    @property
    def server(self) -> float:
        """The share of the time in which the servers worked; they share one core."""
        return self.cpu_s / self.seconds

    @property
    def limit(self) -> str:
        """Which side set the pace: a rate that the server did not set is only a lower bound of what it can do."""
        if self.server >= BUSY:
            return "server"
        if self.load >= BUSY or (self.load >= BUSY / 2 and self.load > self.server):
            return "load side"
        return "other cores" if self.others >= BUSY else ""


class Meter:
    """Reads the servers of a measurement, its load and the other cores, all at once."""

    def __init__(self, load_busy_s: Callable[[], float], *servers: Measured) -> None:
        """`load_busy_s`: for how long the load side has had something to do."""
        self._load_busy_s = load_busy_s
        self._servers = servers
        self._mark = self._read()

    def start(self) -> None:
        """Begin a measurement."""
        self._mark = self._read()

    def stop(self) -> Spent:
        """What has been spent since it began."""
        (at, servers, load, others), (at0, servers0, load0, others0) = self._read(), self._mark
        seconds = at - at0
        each = tuple(now - then for now, then in zip(servers, servers0, strict=True))
        return Spent(seconds, each, (load - load0) / seconds, (others - others0) / seconds)

    def _read(self) -> tuple[float, tuple[float, ...], float, float]:
        servers = tuple(server.cpu_s for server in self._servers)
        return time.monotonic(), servers, self._load_busy_s(), _others_cpu_s()


def _others_cpu_s() -> float:
    """CPU time that all cores but the server's have been busy, on average."""
    tick = os.sysconf("SC_CLK_TCK")
    busy = []
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) != SERVER_CORE:
            user, nice, system, _idle, _waiting, *interrupts = map(int, ticks[:7])
            busy.append((user + nice + system + sum(interrupts)) / tick)
    return sum(busy) / len(busy)
