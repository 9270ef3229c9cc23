"""W2, the pipeline: 1,000 two-person chats; each message is validated, limited, committed to PostgreSQL, published,
delivered and acknowledged. Centrifugo has the same load in turns with the gateway. W5, latency: the same at a fifth of
that rate, the two of each chat on two nodes.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import disk, product
from benchmarks.fanout import SETTLE_S
from benchmarks.load import Load, Socket, Spread, Written
from benchmarks.measured import Measured, Meter, Spent
from benchmarks.peers import centrifugo
from benchmarks.progress import Progress
from benchmarks.result import Bound, Chart, Figure, Section, Table
from benchmarks.workloads.beside import beside_centrifugo, without_centrifugo

CHATS = 1000
WRITERS = (20, 200, CHATS)
TEXT = "x" * 100
LIMITED = {"MESSAGES_PER_MINUTE": 100_000}
"""The rate limiter runs and counts, but never rejects."""
WARM_UP_S = 3.0
OF_CENTRIFUGO = {20: (2.7, 2), 200: (1.4, 1), CHATS: (1.2, 1)}
"""Required and aimed CPU of a message, as ratios to Centrifugo's, by the number of writers."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The same load, several times."""

    name: str
    runs: Sequence[tuple[Written, Spent]]

    @property
    def rate(self) -> Figure:
        """Acknowledged messages per second."""
        return Figure(tuple(written.acked / written.seconds for written, _ in self.runs))

    @property
    def cpu_us(self) -> Figure:
        """CPU time of the gateways per message."""
        return Figure(tuple(spent.cpu_s / max(1, written.acked) * 1e6 for written, spent in self.runs))

    def behind_us(self, server: str) -> Figure:
        """CPU time per message of a server behind them."""
        return Figure(tuple(spent.behind_cpu_s[server] / max(1, done.acked) * 1e6 for done, spent in self.runs))

    def latency(self, what: str, quantile: str) -> Figure:
        """The latency of `ack` or `delivery`, in milliseconds."""
        return Figure(tuple(getattr(getattr(written, what), quantile) for written, _ in self.runs))

    def row(self) -> tuple[object, ...]:
        """The row in the table of W2."""
        errors = sum(written.errors for written, _ in self.runs)
        spent = sorted((spent for _, spent in self.runs), key=lambda one: one.server)[len(self.runs) // 2]
        return (
            f"{self.name} ({errors} refused)" if errors else self.name,
            self.rate,
            self.cpu_us,
            self.latency("ack", "p50"),
            self.latency("ack", "p99"),
            f"{spent.server:.0%} / {spent.load:.0%} / {spent.others:.0%}",
            spent.limit or "–",
        )


@dataclass(slots=True)
class LoadedServer:
    """A server with its load, ready to be measured."""

    name: str
    load: Load
    meter: Meter
    loaded: dict[int, Loaded] = field(default_factory=dict)
    """Its results by the number of writers."""


def count_steps(quick: bool) -> int:
    """Each load of W2 and W5."""
    return len(WRITERS) + 4


def run(folder: Path, quick: bool, progress: Progress) -> Section:
    """Measure the pipeline on one node, then the latency over two."""
    seconds, runs = (1.5, 5) if quick else (5.0, 7)
    progress.next(f"W2: making {2 * CHATS:,} users")
    with product.running(folder, nodes=2, **LIMITED) as started:
        first, second = (Measured.alone(node.pid) for node in started.nodes)
        ports = [node.port for node in started.nodes]
        chats = started.chats([2] * CHATS)
        frame = product.message(TEXT)
        with ExitStack() as stack:
            load = Load(sockets(chats, ports[0], ports[0]), folder, prefix=product.PREFIX, message=frame)
            stack.enter_context(load)
            us = LoadedServer("chat-gateway", load, Meter(lambda: load.busy_s, first, behind=started.behind))
            contenders = [us]
            if not centrifugo.missing():
                contenders.append(_centrifugo(stack, folder / "centrifugo"))
            for one in contenders:
                one.load.open()
            time.sleep(SETTLE_S)
            for one in contenders:
                one.load.write(WARM_UP_S, CHATS)  # includes plans and caches of PostgreSQL
            for writers in WRITERS:
                progress.next(f"W2: {writers} writers")
                measure_in_turns(contenders, runs, seconds, writers)
            closed = list(us.loaded.values())
            peak = max(closed, key=lambda one: one.rate.median)
            progress.next(f"W2: half of {peak.rate.median:,.0f} messages/s")
            name = "half of the best, at an even rate"
            started.tidy()
            half = measure(name, load, [first], runs, seconds, CHATS, rate=peak.rate.median / 2)
            load.shut()
        rate = peak.rate.median / 5
        progress.next(f"W5: {rate:,.0f} messages/s over two nodes")
        started.tidy()
        with Load(sockets(chats, *ports), folder, prefix=product.PREFIX, message=frame) as load:
            load.open()
            time.sleep(SETTLE_S)
            load.write(1, CHATS, rate=rate)
            fifth = measure("a fifth of it, over two nodes", load, [first, second], runs, seconds, CHATS, rate=rate)
            load.shut()
    progress.next("W5: the disk alone")
    alone = [disk.sync_latency(folder, seconds, rate) for _ in range(runs)]
    costs = {
        "message_us": half.cpu_us.median,
        "receive_us": Figure(tuple(spent.each_cpu_s[1] / written.acked * 1e6 for written, spent in fifth.runs)).median,
    }
    charts = [*_charts([*closed, half]), _latency_chart(half, fifth)]
    tables = [_pipeline(closed, half, peak), _beside(*contenders), _latency(rate, fifth, alone)]
    return Section("w2", tables, charts, costs)


def sockets(chats: Sequence[Sequence[product.Member]], port: int, other: int) -> list[Socket]:
    """The writers of all chats at one port, then their readers at the other."""
    writers = [writer.socket(port, is_writer=True) for writer, _ in chats]
    return writers + [reader.socket(other, times=number) for number, (_, reader) in enumerate(chats)]


def _centrifugo(stack: ExitStack, folder: Path) -> LoadedServer:
    server = stack.enter_context(centrifugo.pairs(folder))
    measured, redis = Measured.alone(server.pid), Measured(server.redis.pid)
    chats = server.sockets(CHATS, TEXT)
    clients = [writer for writer, _ in chats] + [reader for _, reader in chats]
    load = stack.enter_context(Load(clients, folder, prefix=centrifugo.PREFIX, lines=centrifugo.LINES))
    behind = {"Redis": lambda: redis.cpu_s}
    return LoadedServer(centrifugo.NAME, load, Meter(lambda: load.busy_s, measured, behind=behind))


def measure_in_turns(contenders: Sequence[LoadedServer], runs: int, seconds: float, writers: int) -> None:
    """This number of runs of each, in pairs, so that what the machine does meanwhile costs both the same."""
    found: list[list[tuple[Written, Spent]]] = [[] for _ in contenders]
    for number in range(runs):
        pairs = list(zip(contenders, found, strict=True))
        for contender, its in pairs if number % 2 == 0 else pairs[::-1]:
            contender.meter.start()
            written = contender.load.write(seconds, writers)
            its.append((written, contender.meter.stop()))
    for contender, its in zip(contenders, found, strict=True):
        contender.loaded[writers] = Loaded(f"{writers:,} writers, each waiting for its ack", its)


def measure(
    name: str, load: Load, nodes: Sequence[Measured], runs: int, seconds: float, writers: int, *, rate: float = 0
) -> Loaded:
    """This number of runs of this number of seconds."""
    meter = Meter(lambda: load.busy_s, *nodes)
    found = []
    for _ in range(runs):
        meter.start()
        written = load.write(seconds, writers, rate=rate)
        found.append((written, meter.stop()))
    return Loaded(name, found)


def _pipeline(closed: Sequence[Loaded], half: Loaded, peak: Loaded) -> Table:
    return Table(
        f"W2: {CHATS:,} two-person chats, the whole path, one gateway process",
        (
            "load",
            "durable messages/s",
            "gateway CPU µs a message",
            "ack p50 ms",
            "ack p99 ms",
            "busy: gateway / load side / other core",
            "set the pace",
        ),
        [loaded.row() for loaded in (*closed, half)],
        [
            Bound("durable messages/s, one gateway process", peak.rate.median, 5000, 9000, at_least=True),
            Bound("gateway CPU a message, where it is fastest", peak.cpu_us.median, None, 60, " µs"),
            Bound("ack p99 at half of the best rate", half.latency("ack", "p99").median, 60, unit=" ms"),
        ],
        [
            "The other core has PostgreSQL (fsync on), Redis and the load. A message is two deliveries: to the reader "
            "and to its writer, whose own copy is its ack."
        ],
    )


def _beside(us: LoadedServer, peer: LoadedServer | None = None) -> Table:
    title = "W2: a message beside Centrifugo's, in turns"
    if peer is None:
        return without_centrifugo(title)
    rows, bounds = [], []
    for writers in WRITERS:
        ratio = us.loaded[writers].cpu_us.over(peer.loaded[writers].cpu_us)
        must, aim = OF_CENTRIFUGO[writers]
        what = f"gateway CPU a message, of Centrifugo's, {writers:,} writers"
        bounds.append(Bound(what, ratio.median, must, aim, "×"))
        for one in (us, peer):
            loaded = one.loaded[writers]
            rows.append(
                (
                    f"{writers:,} writers",
                    one.name,
                    loaded.rate,
                    loaded.cpu_us,
                    ratio if one is us else "–",
                    loaded.behind_us("PostgreSQL") if one is us else "–",
                    loaded.behind_us("Redis"),
                    loaded.latency("ack", "p50"),
                    loaded.latency("ack", "p99"),
                )
            )
    columns = (
        "load",
        "server",
        "messages/s",
        "CPU µs a message",
        "of Centrifugo's, in pairs",
        "PostgreSQL's",
        "Redis's",
        "ack p50 ms",
        "ack p99 ms",
    )
    cpu = (
        "CPU is that of the server's process. The gateway acknowledges what is durable in PostgreSQL, whose CPU is "
        "beside and not in the ratio; Centrifugo what is in the memory of Redis."
    )
    return beside_centrifugo(title, columns, rows, bounds, cpu)


def _latency(rate: float, fifth: Loaded, alone: Sequence[Spread]) -> Table:
    quantiles = ("p50", "p99", "worst")
    return Table(
        f"W5: {rate:,.0f} messages/s, the two of each chat on two nodes",
        ("", "p50 ms", "p99 ms", "worst ms"),
        [
            ("send to ack", *(fifth.latency("ack", quantile) for quantile in quantiles)),
            ("send to delivery", *(fifth.latency("delivery", quantile) for quantile in quantiles)),
            (
                "8 KiB to the disk, alone",
                *(Figure(tuple(getattr(spread, quantile) for spread in alone)) for quantile in quantiles),
            ),
        ],
        [Bound("W5: p99 from send to delivery", fifth.latency("delivery", "p99").median, 8, 5, " ms")],
        [
            "Open loop: a message sent late, for whatever reason, counts from when it was due. The nodes share a core. "
            "PostgreSQL has done before (VACUUM, CHECKPOINT) what W2 had left to do. The last row is a write and "
            "an fdatasync, as often as there are messages, with nothing else running: no message is durable while the "
            "disk stalls."
        ],
    )


def _charts(loads: Sequence[Loaded]) -> list[Chart]:
    names = [loaded.name for loaded in loads]
    rates = {"durable messages/s": [loaded.rate for loaded in loads]}
    costs = {"gateway CPU": [loaded.cpu_us for loaded in loads]}
    return [
        Chart("w2-rate", "W2: the whole path", "messages a second", names, rates, marks={"must": 5000, "aim": 9000}),
        Chart("w2-cpu", "W2: gateway CPU of a message", "µs", names, costs, marks={"aim": 60}),
    ]


def _latency_chart(half: Loaded, fifth: Loaded) -> Chart:
    groups = ["W2 ack, half rate", "W5 ack, a fifth, two nodes", "W5 delivery, a fifth, two nodes"]
    measured = ((half, "ack"), (fifth, "ack"), (fifth, "delivery"))
    series = {name: [loaded.latency(what, name) for loaded, what in measured] for name in ("p50", "p99")}
    return Chart("w5-latency", "W2 and W5: latency", "ms", groups, series, marks={"must of W5 (p99)": 8})
