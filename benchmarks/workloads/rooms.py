"""Rooms: what a large room costs its neighbours, two-person chats on the same node, while people talk, come and go."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import product
from benchmarks.fanout import SETTLE_S
from benchmarks.load import Load, LoadFailed, Socket, Spread, Written
from benchmarks.measured import Measured, Meter, Spent
from benchmarks.progress import Progress
from benchmarks.result import Bound, Section, Table

PAIRS = 10
RATE = 100
"""Messages per second of all neighbours together."""
ROOM_RATE = 5
"""Messages per second to the room."""
CONCURRENCY = 256
"""Connects of a join storm at the same time."""
STAY_S = 6.0
"""How long a storm's members stay, and stay away: after it their seats are released, too (`node/leave_queue`)."""
_Work = Callable[[threading.Event], None]
"""Runs beside the neighbours until the event is set."""
PHASES = ("nothing else", "messages to the room", "and join and leave storms", "all leave at once")


@dataclass(frozen=True, slots=True)
class Scale:
    """The members who stay in the room and who come and go, and how long each phase is measured."""

    stay: int
    storm: int
    seconds: float


FULL = Scale(15_000, 3_000, 40.0)
QUICK = Scale(1_500, 500, 15.0)


@dataclass(frozen=True, slots=True)
class Phase:
    """What the neighbours saw in one phase, and what the node used."""

    name: str
    written: Written
    spent: Spent
    storms: int


def count_steps(quick: bool) -> int:
    """Number of steps: users, connects, phases."""
    return 2 + len(PHASES)


def run(folder: Path, quick: bool, progress: Progress) -> Section:
    """Fill a room and measure its neighbours in each of PHASES, one after the other."""
    scale = QUICK if quick else FULL
    progress.next(f"rooms: making {scale.stay + scale.storm:,} users")
    with product.running(folder, nodes=2) as started:
        table = _measure(folder, started, scale, progress)
    return Section("rooms", [table], [])


def _measure(folder: Path, started: product.Product, scale: Scale, progress: Progress) -> Table:
    node, other = started.nodes
    (first, *members), *pairs = started.chats([1 + scale.stay + scale.storm] + [2] * PAIRS)
    neighbours = [
        one
        for number, (writer, reader) in enumerate(pairs)
        for one in (writer.socket(node.port, is_writer=True), reader.socket(node.port, times=2 * number))
    ]
    measured = Measured.alone(node.pid)
    progress.next(f"rooms: {scale.stay:,} members connect")
    with (
        _opened(folder, "neighbours", neighbours) as beside,
        _opened(folder, "room", [one.socket(node.port) for one in members[: scale.stay]]) as room,
        _opened(folder, "talker", [first.socket(other.port, is_writer=True)]) as talker,
        _loaded(folder, "storm", [one.socket(node.port) for one in members[scale.stay :]]) as storm,
    ):
        time.sleep(SETTLE_S)
        talk, storms, leave = _Talk(talker), _Storms(storm), _Exit(room)
        meanwhile: Sequence[Sequence[_Work]] = ((), (talk,), (talk, storms), (talk, leave))
        phases = []
        for name, works in zip(PHASES, meanwhile, strict=True):
            progress.next(f"rooms: {name}")
            phases.append(_phase(name, scale.seconds, beside, measured, storms, works))
    rows = [
        (
            phase.name,
            *(f"{spread.p50:.1f} / {spread.p99:.1f} / {spread.worst:.0f}" for spread in _spreads(phase.written)),
            f"{phase.spent.server:.0%}",
            phase.storms or "–",
        )
        for phase in phases
    ]
    worst = [max(spread.p99 for spread in _spreads(phase.written)) for phase in phases]
    bounds = [
        Bound("p99 of the neighbours with messages and storms", worst[2], 100, 20, " ms"),
        Bound("p99 of the neighbours while all leave", worst[3], 100, 20, " ms"),
    ]
    columns = ("in the room", "ack p50 / p99 / worst, ms", "delivery p50 / p99 / worst, ms", "node busy", "storms")
    notes = [
        f"{scale.stay:,} members stay, {scale.storm:,} come and go, {CONCURRENCY} connects at a time; "
        f"{ROOM_RATE} messages a second; beside them {PAIRS} chats of two with {RATE} messages a second. "
        "Who leaves sends no CLOSE."
    ]
    return Table(f"Rooms: the neighbours of {scale.stay + scale.storm:,} members", columns, rows, bounds, notes)


def _spreads(written: Written) -> tuple[Spread, Spread]:
    return written.ack, written.delivery


def _phase(
    name: str,
    seconds: float,
    beside: Load,
    measured: Measured,
    storms: "_Storms",
    works: Sequence[_Work],
) -> Phase:
    over, before = threading.Event(), storms.count
    others = [threading.Thread(target=work, args=(over,)) for work in works]
    meter = Meter(lambda: beside.busy_s, measured)
    meter.start()
    for thread in others:
        thread.start()
    try:
        written = beside.write(seconds, PAIRS, rate=RATE)
    finally:
        over.set()
        for thread in others:
            thread.join()
    if written.errors or written.acked == 0:
        raise LoadFailed(f"{name}: {written.errors} errors, {written.acked} messages acknowledged")
    return Phase(name, written, meter.stop(), storms.count - before)


@contextmanager
def _loaded(folder: Path, name: str, sockets: Sequence[Socket]) -> Iterator[Load]:
    (folder / name).mkdir()
    with Load(sockets, folder / name, prefix=product.PREFIX, message=product.message("x" * 90)) as load:
        yield load


@contextmanager
def _opened(folder: Path, name: str, sockets: Sequence[Socket]) -> Iterator[Load]:
    with _loaded(folder, name, sockets) as load:
        opened = load.open(CONCURRENCY, retry_s=60)
        if opened.count < len(sockets):
            raise LoadFailed(f"{opened.count} of {len(sockets)} members are connected")
        yield load


class _Talk:
    """Sends ROOM_RATE messages per second to the room."""

    def __init__(self, load: Load) -> None:
        self._load = load

    def __call__(self, over: threading.Event) -> None:
        """Talk until `over`."""
        while not over.wait(1 / ROOM_RATE):
            self._load.send(0, 1)


class _Storms:
    """Members that connect all together, and are gone together, again and again."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self.count = 0

    def __call__(self, over: threading.Event) -> None:
        """Storm until `over`."""
        while not over.is_set():
            self._load.open(CONCURRENCY, retry_s=10)
            over.wait(STAY_S)
            self._load.shut()
            self.count += 1
            over.wait(STAY_S)


class _Exit:
    """All members who stayed close at once."""

    def __init__(self, load: Load) -> None:
        self._load = load

    def __call__(self, over: threading.Event) -> None:
        """Leave after a while."""
        over.wait(STAY_S)
        self._load.shut()
