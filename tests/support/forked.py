"""`chat-gateway` in processes forked from a Python that has it loaded: imports are most of a start.

Everything else is the program's own: environment, folder, log, signals and end. Tests of the start itself (tests/up)
and of whole systems run it as a shell does.
"""

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar

from tests.support.fork_server import ROOT
from tests.support.keys import KEYS_SECRET
from tests.support.log_secrets import note_secrets
from tests.support.servers import Process, Server


class ForkedProcess:
    """What tests use of a subprocess.Popen. A pidfd stands for the process: its id may be another's once it ended."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._pidfd = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """The exit code, or minus the signal that ended it; None while it runs."""
        return self._wait_ms(0)

    def wait(self, timeout: float | None = None) -> int:
        """The same, once it has ended. Raises: subprocess.TimeoutExpired."""
        code = self._wait_ms(None if timeout is None else timeout * 1000)
        if code is None:
            raise subprocess.TimeoutExpired("chat-gateway", timeout or 0)
        return code

    def _wait_ms(self, timeout_ms: float | None) -> int | None:
        if self.returncode is None:
            poll = select.poll()
            poll.register(self._pidfd, select.POLLIN)
            if poll.poll(timeout_ms):
                os.close(self._pidfd)
                self.returncode = os.waitstatus_to_exitcode(_fork_server().ask(ended=self.pid))
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, if it runs."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._pidfd, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


class _ForkServer:
    """Ends with its input, and so with us; what it forked ends with it."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.support.fork_server"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._asking = threading.Lock()
        atexit.register(self._end)

    def ask(self, **order: object) -> int:
        """Give an order; returns the answer."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with self._asking:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
            return int(self._process.stdout.readline())

    def _end(self) -> None:
        with self._process:
            self._process.kill()


@cache
def _fork_server() -> _ForkServer:
    """This process's own, from its first use until this process ends."""
    return _ForkServer()


class ProgramServer(Server):
    """`chat-gateway` with these arguments as a server; `settings` are beside our own environment."""

    is_forked: ClassVar = sys.platform == "linux"

    def __init__(self, arguments: Sequence[str], folder: Path, settings: Mapping[str, object]) -> None:
        self._arguments = list(arguments)
        self._settings = {name: str(value) for name, value in {"KEYS_SECRET": KEYS_SECRET, **settings}.items()}
        note_secrets(folder, self._settings)
        words = [f"{name}={value}" for name, value in self._settings.items()]
        super().__init__(["/usr/bin/env", *words, sys.executable, "-m", "gateway.cli", *arguments], folder)

    def _spawn(self) -> Process:
        if not self.is_forked:
            return super()._spawn()
        words = {"module": "gateway.cli", "arguments": self._arguments, "environ": os.environ | self._settings}
        return ForkedProcess(_fork_server().ask(**words, folder=str(self.folder), log=str(self._log)))
