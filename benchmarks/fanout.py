"""W1: one room with many subscribers, to measure the cost of a delivery for its server.

Closed loop: the next message (or burst) is published when every subscriber has received the last one. So there are no
queues, and the CPU time of the server divided by the deliveries is the cost of one.
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
"""The size of seed 004's JSON for a message of some 90 characters; the peers send the same size."""
SETTLE_S = 1.0
"""Pause after the connects, for greetings and presence of the last clients. An earlier writer gets no ack."""

ENOUGH_S = 50.0
"""For the runs of one server, once it has two."""


class Room(Protocol):
    """One room of a running server that delivers published messages to every subscriber."""

    @property
    def pid(self) -> int:
        """The process of the server."""
        ...

    @property
    def sockets(self) -> Sequence[Socket]:
        """The sockets of the subscribers and `extra` more receivers."""
        ...

    @property
    def extra(self) -> int:
        """Number of sockets that do not count as subscribers."""
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
        """Publish this number of messages as fast as the publisher can."""
        ...


@dataclass(frozen=True, slots=True)
class Contender:
    """A server to measure: `open(folder, subscribers)` starts it with everything that it needs."""

    name: str
    open: Callable[[Path, int], AbstractContextManager[Room]]
    settings: str = ""
    """Its name, version and settings."""
    missing: Callable[[], str] = lambda: ""
    """The missing prerequisites; empty if it can run."""


@dataclass(frozen=True, slots=True)
class Fanout:
    """The costs of one contender."""

    name: str
    singly_us: Figure
    """CPU time of the server per delivery, for single messages."""
    burst_us: Figure
    """The same for bursts of BURST messages."""
    burst_rate: Figure
    """Deliveries per second in bursts."""
    kib: float
    """Memory growth of the server per subscriber."""
    load: float
    """The share of time that the load side was busy in bursts, in the median run."""
    limit: str
    """The side that limited the rate in bursts; see Spent."""


class Rounds:
    """Publishes in an open room, round after round."""

    def __init__(self, publish: Callable[[int, Load], None], load: Load, copies: int, meter: Meter) -> None:
        self._publish = publish
        self._load = load
        self._copies = copies
        self._meter = meter

    def run(self, messages: int, seconds: float) -> tuple[int, Spent]:
        """Rounds of this number of messages until the time is over, at least one; the total and what they used."""
        frames, sent = self._load.frames(), 0
        self._meter.start()
        until = time.monotonic() + seconds
        while sent == 0 or time.monotonic() < until:
            self._publish(messages, self._load)
            sent += messages
            self._load.until(frames + sent * self._copies)
        return sent, self._meter.stop()


class _Opened:
    """A contender with its room full, and its runs."""

    def __init__(self, stack: ExitStack, server: Contender, folder: Path, subscribers: int) -> None:
        folder.mkdir(parents=True)
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
        self._name, self._subscribers = server.name, subscribers
        self._kib = (measured.rss_bytes - before) / subscribers / 1024
        self._rounds = Rounds(room.publish, load, subscribers + room.extra, Meter(lambda: load.busy_s, measured))
        self._singly: list[tuple[int, Spent]] = []
        self._bursts: list[tuple[int, Spent]] = []

    def warm_up(self, seconds: float) -> None:
        self._rounds.run(1, seconds / 2)
        self._rounds.run(BURST // 5, seconds / 2)

    def run(self, seconds: float) -> None:
        """Singly, then in bursts."""
        self._singly.append(self._rounds.run(1, seconds))
        self._bursts.append(self._rounds.run(BURST, seconds))

    def costs(self) -> Fanout:
        count = self._subscribers
        by_load = sorted((spent for _, spent in self._bursts), key=lambda spent: spent.load)
        return Fanout(
            self._name,
            Figure(tuple(spent.cpu_s / (sent * count) * 1e6 for sent, spent in self._singly)),
            Figure(tuple(spent.cpu_s / (sent * count) * 1e6 for sent, spent in self._bursts)),
            Figure(tuple(sent * count / spent.seconds for sent, spent in self._bursts)),
            self._kib,
            by_load[len(by_load) // 2].load,
            by_load[len(by_load) // 2].limit,
        )


def measure(servers: Sequence[Contender], folder: Path, *, subscribers: int, runs: int, seconds: float) -> list[Fanout]:
    """Start the servers, fill their rooms, publish singly and in bursts: a warm-up, then `runs` of `seconds` each.

    Several servers have their runs in turns (A B B A), so that the runs of one number are a pair. The slowest servers
    take many seconds for one burst: they get two runs.
    """
    with ExitStack() as stack:
        opened = [_Opened(stack, one, folder / str(number), subscribers) for number, one in enumerate(servers)]
        for one in opened:
            one.warm_up(seconds * 2 / 3)
        until = time.monotonic() + ENOUGH_S * len(servers)
        for number in range(runs):
            if number >= 2 and time.monotonic() > until:
                break
            for one in opened if number % 2 == 0 else opened[::-1]:
                one.run(seconds)
        return [one.costs() for one in opened]
