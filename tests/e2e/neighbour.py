"""A client that asks nodes for a pong again and again, and for /livez now and then, as a process of its own.

`python -m tests.e2e.neighbour SECONDS PORT…` connects, and begins when it reads a line. The output is a JSON list with,
for each port, the seconds that each pong took, and the longest that an answer of /livez took.
"""

import json
import socket
import sys
import time
from dataclasses import dataclass
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

    @classmethod
    def of(cls, report: dict[str, Any]) -> "Waits":
        """From what the neighbour printed."""
        pongs = sorted(report["pongs"])
        return cls(pongs[int(len(pongs) * 0.99)] * 1000, report["livez"] * 1000)


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


def main(seconds: float, ports: list[int]) -> None:
    """Ask each in turn until the time is over."""
    connections = [_open(port) for port in ports]
    for connection in connections:
        _ask(connection, handshake("/ws/neighbour"), b"\r\n\r\n")
    print("connected", flush=True)  # noqa: T201
    sys.stdin.readline()
    pongs: list[list[float]] = [[] for _ in ports]
    livez = [0.0 for _ in ports]
    end = time.perf_counter() + seconds
    next_livez = 0.0
    while time.perf_counter() < end:
        for at, connection in enumerate(connections):
            wait = _ask(connection, PING, PONG)
            while wait > 0:  # and what the pings would have waited that were not sent meanwhile
                pongs[at].append(wait)
                wait -= INTERVAL_S
        if time.perf_counter() > next_livez:
            next_livez = time.perf_counter() + 0.25
            for at, port in enumerate(ports):
                started = time.perf_counter()
                with _open(port) as probe:
                    _ask(probe, LIVEZ, b"}")
                livez[at] = max(livez[at], time.perf_counter() - started)
        time.sleep(INTERVAL_S)
    print(json.dumps([{"pongs": pongs[at], "livez": livez[at]} for at in range(len(ports))]))  # noqa: T201


if __name__ == "__main__":
    main(float(sys.argv[1]), [int(port) for port in sys.argv[2:]])
