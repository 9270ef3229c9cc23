"""One run of `up` in a separate process, as started by a shell."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from gateway.up.ports import free_port
from tests.support.log_secrets import note_secrets
from tests.support.servers import wait_until
from tests.up.process_tree import descendants, is_alive

REPOSITORY = Path(__file__).parents[2]


class Up:
    """Started by `start`; `stop` makes sure that nothing is left whatever a test did."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        program: Sequence[str] = ("-m", "tests.up.stub"),
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._output = folder / "up.log"
        self._command = [sys.executable, *program, "up", "--port", str(self.port), *options]
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self._environ = {**kept, "PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "error", **(environ or {})}
        self._folder = folder
        note_secrets(folder, environ or {})
        self._everybody: set[int] = set()

    def start(self, *, until_ready: bool = True) -> "Up":
        """Start it, by default until it says that it is up."""
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                self._command,
                stdout=output,
                stderr=output,
                env=self._environ,
                cwd=self._folder,
                start_new_session=True,
            )
        if until_ready:
            wait_until(lambda: "is up" in self.output() or self.process.poll() is not None, "up is up")
            assert self.process.poll() is None, self.output()
        return self

    def output(self) -> str:
        """What it has printed, with its children."""
        return self._output.read_text(errors="replace")

    def descendants(self) -> set[int]:
        """Every process that it started and that runs."""
        found = descendants(self.process.pid)
        self._everybody |= found
        return found

    def replica(self, port: int | None = None) -> dict[str, Any]:
        """What a replica says of itself; one that is there, or the one with this own port."""
        url = self.url if port is None else f"http://127.0.0.1:{port}"
        said: dict[str, Any] = httpx.get(url, timeout=5).json()
        return said

    def own_ports(self) -> list[int]:
        """The replicas' own ports, as printed."""
        line = next(line for line in self.output().splitlines() if line.strip().startswith("replicas"))
        return [int(word.rpartition(":")[2]) for word in line.split()[1:]]

    def end(self, number: signal.Signals = signal.SIGINT, timeout_s: float = 30) -> int:
        """Send a signal, and wait; returns the exit code."""
        self.descendants()
        self.process.send_signal(number)
        return self.process.wait(timeout_s)

    def left_behind(self) -> set[int]:
        """Processes that were its descendants at some time we looked, and run still."""
        return {pid for pid in self._everybody if is_alive(pid)}

    def stop(self) -> None:
        """Kill whatever runs still."""
        if hasattr(self, "process"):
            self.descendants()
            self.process.kill()
            self.process.wait()
            for pid in self.left_behind():
                os.kill(pid, signal.SIGKILL)


def can_answer(up: Up, port: int) -> bool:
    """Whether the replica with this own port serves."""
    try:
        up.replica(port)
    except httpx.TransportError:
        return False
    return True
