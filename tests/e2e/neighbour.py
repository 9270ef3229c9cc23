"""A client that asks nodes for a pong again and again, and for /livez now and then, as a process of its own.

`python -m tests.e2e.neighbour SECONDS PORT…` connects, and begins when it reads a line. The output is a JSON list with,
for each port, the seconds that each pong took, and the longest that an answer of /livez took; with PORT/PID in place of
PORT, also the CPU time of that process meanwhile: what a pong waits for on a machine that has nothing else to do.
"""

import json
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.gateway.transport.wire import TEXT, frame, handshake

INTERVAL_S: Final = 0.004
PING: Final = frame(TEXT, b'{"type":"ping"}')
PONG: Final = b'{"type":"pong"}'
LIVEZ: Final = b"GET /livez HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Waits:
    """A neighbour's, in ms."""

    p99: float
    livez: float
    """The longest."""
    cpu: float
    """p99 of the CPU time of the node in the time that a pong took; 0 if it was not measured."""

    @classmethod
    def of(cls, report: dict[str, Any]) -> "Waits":
        """From what the neighbour printed."""
        return cls(_p99_ms(report["pongs"]), report["livez"] * 1000, _p99_ms(report["cpu"]))


def _p99_ms(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.99)] * 1000


def _open(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _ask(connection: socket.socket, question: bytes, end: bytes) -> float:
    """The seconds until an answer that ends so; a ping of the server's in between is left unanswered."""
    started = time.perf_counter()
    connection.sendall(question)
    answer = b""
    while not answer.endswith(end):
        data = connection.recv(4096)
        assert data, answer
        answer += data
    return time.perf_counter() - started


def _cpu_s(pid: str) -> float:
    """The CPU time of the main thread of this process; 0 if there is no pid."""
    if not pid:
        return 0.0
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


def main(seconds: float, names: list[str]) -> None:
    """Ask each in turn until the time is over."""
    ports = [int(name.partition("/")[0]) for name in names]
    pids = [name.partition("/")[2] for name in names]
    connections = [_open(port) for port in ports]
    for connection in connections:
        _ask(connection, handshake("/ws/neighbour"), b"\r\n\r\n")
    print("connected", flush=True)  # noqa: T201
    sys.stdin.readline()
    pongs: list[list[float]] = [[] for _ in ports]
    cpu: list[list[float]] = [[] for _ in ports]
    livez = [0.0 for _ in ports]
    end = time.perf_counter() + seconds
    next_livez = 0.0
    while time.perf_counter() < end:
        for at, connection in enumerate(connections):
            before = _cpu_s(pids[at])
            wait = whole = _ask(connection, PING, PONG)
            used = _cpu_s(pids[at]) - before
            while wait > 0:  # and what the pings would have waited that were not sent meanwhile
                pongs[at].append(wait)
                cpu[at].append(used * wait / whole)
                wait -= INTERVAL_S
        if time.perf_counter() > next_livez:
            next_livez = time.perf_counter() + 0.25
            for at, port in enumerate(ports):
                started = time.perf_counter()
                with _open(port) as probe:
                    _ask(probe, LIVEZ, b"}")
                livez[at] = max(livez[at], time.perf_counter() - started)
        time.sleep(INTERVAL_S)
    reports = [{"pongs": pongs[at], "livez": livez[at], "cpu": cpu[at]} for at in range(len(ports))]
    print(json.dumps(reports))  # noqa: T201


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
