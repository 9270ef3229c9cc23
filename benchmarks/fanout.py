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

from benchmarks.load import Load, LoadFailed, Socket
from benchmarks.measured import Measured, Meter, Spent
from benchmarks.result import Figure

BURST = 50
PAYLOAD_BYTES = 360
"""What seed 004's JSON of a message of some 90 characters takes; the peers send as much."""
SETTLE_S = 1.0
"""After everybody has connected: greetings and presence of those who came last. Who writes earlier gets no ack."""

ENOUGH_S = 40.0


class Room(Protocol):
    """One room of a running server that brings what is published to every subscriber."""

    @property
    def pid(self) -> int:
        """The server's process."""
        ...

    @property
    def sockets(self) -> Sequence[Socket]:
        """The subscribers', and `extra` more that hear it too."""
        ...

    @property
    def extra(self) -> int:
        """How many of them are not counted as subscribers."""
        ...

    @property
    def prefix(self) -> str:
        """See Load."""
        ...

    @property
    def message(self) -> bytes:
        """See Load."""
        ...

    @property
    def hello(self) -> bytes:
        """See Load."""
        ...

    def publish(self, count: int, load: Load) -> None:
        """Publish so many messages as fast as the publisher can."""
        ...


@dataclass(frozen=True, slots=True)
class Contender:
    """A server to be measured: `open(folder, subscribers)` starts it, with everything that it needs."""

    name: str
    open: Callable[[Path, int], AbstractContextManager[Room]]
    settings: str = ""
    """What it is, in which version, set how."""
    missing: Callable[[], str] = lambda: ""
    """What has to be installed to run it; empty if it can be run."""


@dataclass(frozen=True, slots=True)
class Fanout:
    """What one contender took."""

    name: str
    singly_us: Figure
    """CPU time of the server a delivery, messages one at a time."""
    burst_us: Figure
    """The same in bursts of BURST."""
    burst_rate: Figure
    """Deliveries a second in bursts."""
    kib: float
    """What the server's memory grew by, a subscriber."""
    load: float
    """The load side's share of the time in bursts, the median run's."""
    limit: str
    """Which side set the pace in bursts; see Spent."""


class Rounds:
    """Publishes in an open room, round after round."""

    def __init__(self, publish: Callable[[int, Load], None], load: Load, copies: int, meter: Meter) -> None:
        self._publish = publish
        self._load = load
        self._copies = copies
        self._meter = meter

    def run(self, messages: int, seconds: float) -> tuple[int, Spent]:
        """Rounds of so many messages until the time is over, one at least: how many messages, and what they took."""
        frames, sent = self._load.frames(), 0
        self._meter.start()
        until = time.monotonic() + seconds
        while sent == 0 or time.monotonic() < until:
            self._publish(messages, self._load)
            sent += messages
            self._load.until(frames + sent * self._copies)
        return sent, self._meter.stop()


def measure(server: Contender, folder: Path, *, subscribers: int, runs: int, seconds: float) -> Fanout:
    """Start the server, fill the room, publish singly and in bursts: warm up, then `runs` of `seconds` each.

    The slowest servers take many seconds for one burst: two runs must do for them.
    """
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        room = stack.enter_context(server.open(folder, subscribers))
        load = stack.enter_context(
            Load(room.sockets, folder, prefix=room.prefix, message=room.message, hello=room.hello)
        )
        measured = Measured.alone(room.pid)
        before = measured.rss_bytes
        opened = load.open()
        if opened.failed:
            raise LoadFailed(f"{opened.failed} of {subscribers} sockets were refused")
        time.sleep(SETTLE_S)
        kib = (measured.rss_bytes - before) / subscribers / 1024
        rounds = Rounds(room.publish, load, subscribers + room.extra, Meter(lambda: load.busy_s, measured))
        rounds.run(1, seconds / 3)
        rounds.run(BURST // 5, seconds / 3)
        singly: list[tuple[int, Spent]] = []
        bursts: list[tuple[int, Spent]] = []
        until = time.monotonic() + ENOUGH_S
        while len(bursts) < 2 or (len(bursts) < runs and time.monotonic() < until):
            singly.append(rounds.run(1, seconds))
            bursts.append(rounds.run(BURST, seconds))
    by_load = sorted((spent for _, spent in bursts), key=lambda spent: spent.load)
    return Fanout(
        server.name,
        Figure(tuple(spent.cpu_s / (sent * subscribers) * 1e6 for sent, spent in singly)),
        Figure(tuple(spent.cpu_s / (sent * subscribers) * 1e6 for sent, spent in bursts)),
        Figure(tuple(sent * subscribers / spent.seconds for sent, spent in bursts)),
        kib,
        by_load[len(by_load) // 2].load,
        by_load[len(by_load) // 2].limit,
    )
