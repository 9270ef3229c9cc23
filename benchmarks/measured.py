"""What a process uses: CPU time and memory, read from the kernel; and which core it may use.

The server that is measured has a core of its own. Everything else, the load and the databases included, has the others.
"""

import os
from dataclasses import dataclass
from pathlib import Path

SERVER_CORE = 0


def keep_off_the_server_core() -> None:
    """Leave SERVER_CORE to the server: for this process and all that it starts."""
    others = os.sched_getaffinity(0) - {SERVER_CORE}
    if not others:
        raise SystemExit("The benchmarks need two cores: one for the server, one for the load.")
    os.sched_setaffinity(0, others)


@dataclass(frozen=True, slots=True)
class Measured:
    """A running process, alone on the server's core."""

    pid: int

    @classmethod
    def alone(cls, pid: int) -> "Measured":
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
