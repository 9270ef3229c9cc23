"""W3, connections: members connect (token, membership, presence) and stay; Centrifugo's clients in turns with them.
W4, resume storm: all reconnect at once.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import product
from benchmarks.fanout import SETTLE_S
from benchmarks.load import TIMEOUT_S, Load, LoadFailed, Opened
from benchmarks.measured import Measured, Meter, Spent
from benchmarks.peers import centrifugo
from benchmarks.progress import Progress
from benchmarks.result import Bound, Chart, Figure, Section, Table
from benchmarks.workloads.beside import beside_centrifugo, without_centrifugo

CLIENTS = 5000
QUICK_CLIENTS = 2000
"""Those that connect in turns in a quick run, where a memory of so few is inaccurate."""
FEWER = 1000
"""The size of the storm for comparison: a storm of CLIENTS must not cause more store reads."""
BEHIND = 20
TURNS = 5
"""How often each kind of client connects after the first time."""
CONCURRENCY = 128
"""Concurrent connects while their rate is measured; in a storm all connect at once."""
LINGER_S = 7.0
"""Time until the seats of disconnected clients are free."""
KEEPALIVE_S = 30.0
"""Period in which an idle connection is pinged once."""
STATISTICS_S = 11.0
"""Time until the counters of PostgreSQL are up to date."""
OF_CENTRIFUGO = (2.5, 1)
"""Required and aimed CPU of a connect, as a ratio to Centrifugo's."""
MORE_LOOKUPS = 2 * (BEHIND + 1)
"""Tolerance: two pages read again."""


@dataclass(slots=True)
class Connects:
    """Clients of one kind, which connect several times. `begin` makes the load side of a time."""

    name: str
    begin: Callable[[], Load]
    measured: Measured
    behind: dict[str, Callable[[], float]]
    linger_s: float = LINGER_S
    """Time until the server has done what the ends of the connections require."""
    runs: list[tuple[Opened, Spent]] = field(default_factory=list)

    @property
    def rate(self) -> Figure:
        """Connects per second."""
        return Figure(tuple(opened.count / opened.seconds for opened, _ in self.runs))

    @property
    def cpu_us(self) -> Figure:
        """CPU time of the server per connect."""
        return Figure(tuple(spent.cpu_s / opened.count * 1e6 for opened, spent in self.runs))

    def behind_us(self, server: str) -> Figure:
        """CPU time per connect of a server behind it."""
        return Figure(tuple(spent.behind_cpu_s[server] / opened.count * 1e6 for opened, spent in self.runs))

    @property
    def busy(self) -> str:
        """Of each run."""
        return "; ".join(f"{spent.server:.0%} / {spent.load:.0%} / {spent.others:.0%}" for _, spent in self.runs)


@dataclass(frozen=True, slots=True)
class Storm:
    """Repeated storms of one kind of clients."""

    name: str
    seconds: Figure
    """Seconds until all clients were caught up."""
    lookups: Figure
    """Scans of the indexes of the log: a page of history takes one, plus one for each of its messages."""
    statements: Figure
    """All transactions of PostgreSQL per client, including those of the connects."""
    refused: int
    """The most handshakes; a rejected client retries half a second later."""
    spent: Spent
    failures: Sequence[str]
    """The result of storms that did not end within the timeout."""


def count_steps(quick: bool) -> int:
    """Number of steps: users, connects (a warm-up and the turns), storms."""
    return 2 + TURNS + 3 * _runs(quick)


def _runs(quick: bool) -> int:
    return 1 if quick else 3


def run(folder: Path, quick: bool, progress: Progress) -> Section:
    """Measure connections in two-person chats, then storms in one room and in two-person chats."""
    progress.next(f"W3: making {2 * CLIENTS:,} users")
    with product.running(folder, MESSAGES_PER_MINUTE=0) as started:
        pairs = [member for pair in started.chats([2] * (CLIENTS // 2)) for member in pair]
        (room,) = started.chats([CLIENTS])
        some = pairs[:QUICK_CLIENTS] if quick else pairs
        tables, costs = _connections(folder, started, some, progress)
        kinds = {f"{FEWER:,} in one room": room[:FEWER], f"{CLIENTS:,} in one room": room}
        kinds[f"{CLIENTS:,} in two-person chats"] = pairs
        storms = []
        _say(folder, started.nodes[0], [*room, *pairs])
        for name, members in kinds.items():
            storms.append(_storm(folder, started, name, members, _runs(quick), progress))
        return Section("w3", [*tables, _table(storms)], [_chart(storms)], costs)


def _connections(
    folder: Path, started: product.Product, members: Sequence[product.Member], progress: Progress
) -> tuple[list[Table], dict[str, float]]:
    (node,) = started.nodes
    measured = Measured.alone(node.pid)
    node_mib = measured.rss_bytes / 1024**2
    known = list(members)

    def ours(*, renew: bool) -> Load:
        if renew:
            known[:] = started.renewed(members)
        return Load([member.socket(node.port) for member in known], folder, prefix=product.PREFIX)

    new = Connects("chat-gateway, with a new token", lambda: ours(renew=True), measured, started.behind)
    seen = Connects("chat-gateway, with a token that it knows", lambda: ours(renew=False), measured, started.behind)
    with ExitStack() as stack:
        kinds = [new, seen]
        progress.next(f"W3: connecting {len(members):,}")
        kib, idle_us = _first(new, KEEPALIVE_S)  # memory grows only the first time, which is the warm-up too
        kib_of_peer = 0.0
        if not centrifugo.missing():
            kinds.append(_centrifugo(stack, folder / "centrifugo", len(members) // 2))
            kib_of_peer, _ = _first(kinds[-1], 0)
        for number in range(TURNS):
            progress.next(f"W3: connecting {len(members):,} again")
            for kind in kinds if number % 2 == 0 else [*kinds[2:], *kinds[:2]]:
                with kind.begin() as load:
                    kind.runs.append(_connect(kind, load))
                    time.sleep(2)
                    load.shut()
                time.sleep(kind.linger_s)
    table = Table(
        f"W3: {len(members):,} members of two-person chats connect",
        (
            "",
            "connects/s, one core",
            "CPU µs a connect",
            "PostgreSQL's",
            "Redis's",
            "KiB of RSS a connected member",
            "CPU µs a second, idle",
            "busy: gateway / load side / other core",
        ),
        [
            (
                kind.name,
                kind.rate,
                kind.cpu_us,
                kind.behind_us("PostgreSQL") if kind in (new, seen) else "–",
                kind.behind_us("Redis"),
                f"{kib if kind is new else kib_of_peer:.1f}" if kind is not seen else "–",
                f"{idle_us:.2g}" if kind is new else "–",
                kind.busy,
            )
            for kind in kinds
        ],
        [
            Bound("connects/s a core", new.rate.median, 500, 1500, at_least=True),
            Bound("RSS a connected member", kib, 20, 12, " KiB"),
        ],
        ["Each connect checks a token, the membership and takes a seat in presence; half of the chats open with it."],
    )
    costs = {"connect_us": new.cpu_us.median, "redis_connect_us": new.behind_us("Redis").median, "connection_kib": kib}
    return [table, _beside(*kinds)], costs | {"idle_us": idle_us, "node_mib": node_mib}


def _centrifugo(stack: ExitStack, folder: Path, pairs: int) -> Connects:
    server = stack.enter_context(centrifugo.pairs(folder))
    redis = Measured(server.redis.pid)
    sockets = [socket for pair in server.sockets(pairs, "") for socket in pair]

    def begin() -> Load:
        return Load(sockets, folder, prefix=centrifugo.PREFIX, lines=centrifugo.LINES)

    return Connects(centrifugo.NAME, begin, Measured.alone(server.pid), {"Redis": lambda: redis.cpu_s}, 2)


def _first(kind: Connects, idle_s: float) -> tuple[float, float]:
    """Connect and stay: the server's memory in KiB a client, and its CPU in µs a client and second."""
    with kind.begin() as load:
        before = kind.measured.rss_bytes
        opened, _ = _connect(kind, load)
        time.sleep(2)
        kib = (kind.measured.rss_bytes - before) / opened.count / 1024
        meter = Meter(lambda: load.busy_s, kind.measured)
        time.sleep(idle_s)
        idle_us = meter.stop().cpu_s / idle_s / opened.count * 1e6 if idle_s else 0
        load.shut()
    time.sleep(kind.linger_s)
    return kib, idle_us


def _connect(kind: Connects, load: Load) -> tuple[Opened, Spent]:
    meter = Meter(lambda: load.busy_s, kind.measured, behind=kind.behind)
    opened = load.open(CONCURRENCY, retry_s=TIMEOUT_S)
    spent = meter.stop()
    if opened.count < load.count:
        raise LoadFailed(f"only {opened.count} of {load.count} could connect")
    return opened, spent


def _beside(new: Connects, seen: Connects, peer: Connects | None = None) -> Table:
    title = "W3: a connect beside Centrifugo's, in turns"
    if peer is None:
        return without_centrifugo(title)
    rows, bounds = [], []
    for kind in (new, seen):
        ratio = kind.cpu_us.over(peer.cpu_us)
        rows.append((kind.name, ratio))
        what = kind.name.partition(", ")[2]
        bounds.append(Bound(f"CPU a connect {what}, of Centrifugo's", ratio.median, *OF_CENTRIFUGO, "×"))
    cpu = (
        "CPU is that of the server's process, without PostgreSQL's. The gateway remembers the signatures that it has "
        "verified, so a token costs less when it comes again; Centrifugo verifies each."
    )
    return beside_centrifugo(title, ("", "CPU a connect, of Centrifugo's, in pairs"), rows, bounds, cpu)


def _storm(
    folder: Path,
    started: product.Product,
    name: str,
    members: Sequence[product.Member],
    runs: int,
    progress: Progress,
) -> Storm:
    (node,) = started.nodes
    times, lookups, statements, refused, spent = [], [], [], [], []
    failures: list[str] = []
    for _ in range(runs):
        progress.next(f"W4: {name}")
        node.restart()  # the cause of the reconnects; the new process has no cache
        Measured.alone(node.pid)
        time.sleep(STATISTICS_S)
        with Load([one.socket(node.port, since=0) for one in members], folder, prefix=product.PREFIX) as load:
            meter = Meter(lambda: load.busy_s, Measured(node.pid))
            before, lookups_before = started.statements(), started.log_lookups()
            meter.start()
            refused.append(load.open(len(members), retry_s=TIMEOUT_S).failed)
            try:
                load.until_caught_up(len(members))
                load.until(len(members) * BEHIND)
            except LoadFailed as error:
                failures.append(f"{name}: after {TIMEOUT_S:.0f} s only {error}.")
            spent.append(meter.stop())
            times.append(spent[-1].seconds)
            load.shut()
        time.sleep(STATISTICS_S)
        statements.append((started.statements() - before) / len(members))
        lookups.append(started.log_lookups() - lookups_before)
    return Storm(
        name, Figure(tuple(times)), Figure(tuple(lookups)), Figure(tuple(statements)), max(refused), spent[0], failures
    )


def _table(storms: Sequence[Storm]) -> Table:
    rows = [
        (
            storm.name,
            storm.seconds,
            storm.lookups,
            storm.statements,
            storm.refused,
            f"{storm.spent.server:.0%} / {storm.spent.load:.0%} / {storm.spent.others:.0%}",
        )
        for storm in storms
    ]
    fewer, room, pairs = storms
    more = max(room.lookups.runs) - max(fewer.lookups.runs)
    return Table(
        f"W4: they come back at once, each {BEHIND} messages behind",
        (
            "clients",
            "seconds until all have caught up",
            "lookups in the stored log",
            "statements of PostgreSQL a client",
            "handshakes refused",
            "busy: gateway / load side / other core",
        ),
        rows,
        [
            Bound(f"W4: {room.name} have caught up", room.seconds.median, 10, 3, " s"),
            Bound(f"W4: {pairs.name} have caught up", pairs.seconds.median, 10, 3, " s"),
            Bound(f"W4: lookups in the log for {room.name} more than for {FEWER:,}", more, MORE_LOOKUPS),
        ],
        [
            "All connect at once, to a node that was just restarted and remembers nothing.",
            f"A page of {BEHIND} messages takes {BEHIND + 1} lookups; all of a room share one. Statements are all that "
            "the database does meanwhile, connects included, which need the person and the membership.",
            *(failure for storm in storms for failure in storm.failures),
        ],
    )


def _chart(storms: Sequence[Storm]) -> Chart:
    series = {"all have caught up": [storm.seconds for storm in storms]}
    names = [storm.name for storm in storms]
    return Chart(
        "w4-storm",
        f"W4: back at once, {BEHIND} messages behind",
        "seconds",
        names,
        series,
        marks={"must": 10, "aim": 3},
    )


def _say(folder: Path, node: product.Node, members: Sequence[product.Member]) -> None:
    """Store BEHIND messages in each of their chats."""
    first = {member.chat_id: member for member in reversed(members)}
    writers = [member.socket(node.port, is_writer=True) for member in first.values()]
    with Load(writers, folder, prefix=product.PREFIX, message=product.message("x" * 100)) as load:
        load.open()
        time.sleep(SETTLE_S)
        for said in range(BEHIND):
            for number in range(len(writers)):
                load.send(number, 1)
            load.until(len(writers) * (said + 1))
        load.shut()
