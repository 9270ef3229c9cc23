"""W1: one room with many subscribers; what a delivery costs the server that makes it.

Closed loop: the next message (or burst) is published when the last one has reached everybody. So there is no queue
anywhere, and CPU time of the server over deliveries is the cost of one.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.load import Load, Socket
from benchmarks.measured import Measured
from benchmarks.result import Figure

BURST = 50
PAYLOAD_BYTES = 360
"""What seed 004's JSON of a message of some 90 characters takes; the peers send as much."""


class Room(Protocol):
    """One room of a running server that brings what is published to every subscriber."""

    pid: int
    """The server's process."""
    sockets: Sequence[Socket]
    """The subscribers', and `extra` more that hear it too."""
    extra: int
    prefix: str
    message: bytes
    hello: bytes
    """See Load."""

    def publish(self, count: int, load: Load) -> None:
        """Publish so many messages as fast as the publisher can."""
        ...


@dataclass(frozen=True, slots=True)
class Contender:
    """A server to be measured: `open(folder, subscribers)` starts it, with everything that it needs."""

    name: str
    open: Callable[[Path, int], AbstractContextManager[Room]]


@dataclass(frozen=True, slots=True)
class Fanout:
    """What one server needs."""

    name: str
    subscribers: int
    singly_us: Figure
    """CPU time of the server a delivery, messages one at a time."""
    burst_us: Figure
    """The same in bursts of BURST."""
    burst_rate: Figure
    """Deliveries a second in bursts."""


def measure(server: Contender, folder: Path, *, subscribers: int, runs: int, singles: int, bursts: int) -> Fanout:
    """Start the server, fill the room, publish singly and in bursts."""
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        room = stack.enter_context(server.open(folder, subscribers))
        load = stack.enter_context(
            Load(room.sockets, folder, prefix=room.prefix, message=room.message, hello=room.hello)
        )
        opened = load.open()
        if opened.failed:
            raise RuntimeError(f"{server.name}: {opened.failed} of {subscribers} sockets were refused")
        measured = Measured.alone(room.pid)
        copies = subscribers + room.extra

        def publish(rounds: int, messages: int) -> tuple[float, float]:
            """CPU seconds and seconds of so many rounds of so many messages."""
            cpu, start, frames = measured.cpu_s, time.perf_counter(), load.frames()
            for number in range(rounds):
                room.publish(messages, load)
                load.until(frames + (number + 1) * messages * copies)
            return measured.cpu_s - cpu, time.perf_counter() - start

        time.sleep(1)  # greetings and presence of those who came last
        publish(singles // 4, 1)
        publish(max(1, bursts // 4), BURST)
        singly, burst, rate = [], [], []
        for _ in range(runs):
            cpu, _ = publish(singles, 1)
            singly.append(cpu / (singles * subscribers) * 1e6)
            cpu, seconds = publish(bursts, BURST)
            burst.append(cpu / (bursts * BURST * subscribers) * 1e6)
            rate.append(bursts * BURST * subscribers / seconds)
    return Fanout(server.name, subscribers, Figure(tuple(singly)), Figure(tuple(burst)), Figure(tuple(rate)))
