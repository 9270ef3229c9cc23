"""The lower limit: a C program that only calls write() (native/limit.c)."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.fanout import PAYLOAD_BYTES
from benchmarks.load import Load, Socket, build, handshake
from benchmarks.peers.listening import listens
from tests.support.servers import free_port, wait_until

SETTINGS = "one thread, blocking sockets, ready-made frames; a burst is one `write()` a socket (`native/limit.c`)."


class LimitRoom:
    """Every socket is a subscriber."""

    extra = 0
    prefix = ""
    message = b""
    hello = b""

    def __init__(self, process: subprocess.Popen[str], port: int, subscribers: int) -> None:
        self._process = process
        self.pid = process.pid
        self.sockets = [Socket(port, handshake(port, "/")) for _ in range(subscribers)]

    def publish(self, count: int, load: Load) -> None:
        """Make it write."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"fan {count}\n")
        self._process.stdin.flush()
        self._process.stdout.readline()


@contextmanager
def room(folder: Path, subscribers: int) -> Iterator[LimitRoom]:
    """The limit as a contender."""
    port = free_port()
    command = [build("limit", folder), str(port), str(PAYLOAD_BYTES + 4)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: listens(port), "the C program listens")
        yield LimitRoom(process, port, subscribers)
    finally:
        process.kill()
        process.communicate()  # closes its pipes, and waits
