"""W3, connections: members connect (token, membership, presence) and stay. W4, resume storm: all reconnect at once."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import product
from benchmarks.fanout import SETTLE_S
from benchmarks.load import TIMEOUT_S, Load, LoadFailed
from benchmarks.measured import Measured, Meter, Spent
from benchmarks.progress import Progress
from benchmarks.result import Bound, Chart, Figure, Section, Table

CLIENTS = 5000
FEWER = 1000
"""The size of the storm for comparison: a storm of CLIENTS must not cause more store reads."""
BEHIND = 20
CONCURRENCY = 128
"""Concurrent connects while their rate is measured; in a storm all connect at once."""
LINGER_S = 7.0
"""Time until the seats of disconnected clients are free."""
KEEPALIVE_S = 30.0
"""Period in which an idle connection is pinged once."""
STATISTICS_S = 11.0
"""Time until the counters of PostgreSQL are up to date."""
MORE_LOOKUPS = 2 * (BEHIND + 1)
"""Tolerance: two pages read again."""


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
    """Number of steps: users, connects, storms."""
    return 1 + (_runs(quick) + 1) + 3 * _runs(quick)


def _runs(quick: bool) -> int:
    return 1 if quick else 3


def run(folder: Path, quick: bool, progress: Progress) -> Section:
    """Measure connections in two-person chats, then storms in one room and in two-person chats."""
    progress.next(f"W3: making {2 * CLIENTS:,} users")
    with product.running(folder, MESSAGES_PER_MINUTE=0) as started:
        pairs = [member for pair in started.chats([2] * (CLIENTS // 2)) for member in pair]
        (room,) = started.chats([CLIENTS])
        table, costs = _connections(folder, started, pairs, _runs(quick), progress)
        kinds = {f"{FEWER:,} in one room": room[:FEWER], f"{CLIENTS:,} in one room": room}
        kinds[f"{CLIENTS:,} in two-person chats"] = pairs
        storms = []
        _say(folder, started.nodes[0], [*room, *pairs])
        for name, members in kinds.items():
            storms.append(_storm(folder, started, name, members, _runs(quick), progress))
        return Section("w3", [table, _table(storms)], [_chart(storms)], costs)


def _connections(
    folder: Path, started: product.Product, members: Sequence[product.Member], runs: int, progress: Progress
) -> tuple[Table, dict[str, float]]:
    (node,), (redis,) = started.nodes, (Measured(server.pid) for server in started.redis)
    measured = Measured.alone(node.pid)
    sockets = [member.socket(node.port) for member in members]
    node_mib = measured.rss_bytes / 1024**2
    kib = idle_us = 0.0
    found, of_redis = [], []
    for number in range(runs + 1):
        progress.next(f"W3: connecting {CLIENTS:,}")
        with Load(sockets, folder, prefix=product.PREFIX) as load:
            meter = Meter(lambda: load.busy_s, measured)
            before = measured.rss_bytes
            redis_before = redis.cpu_s
            meter.start()
            opened = load.open(CONCURRENCY, retry_s=TIMEOUT_S)
            spent = meter.stop()
            if opened.count < CLIENTS:
                raise LoadFailed(f"only {opened.count} of {CLIENTS} could connect")
            time.sleep(2)
            if number == 0:  # memory grows only the first time, which is the warm-up too
                kib = (measured.rss_bytes - before) / opened.count / 1024
                meter.start()
                time.sleep(KEEPALIVE_S)
                idle_us = meter.stop().cpu_s / KEEPALIVE_S / opened.count * 1e6
            else:
                found.append((opened, spent))
                of_redis.append((redis.cpu_s - redis_before) / opened.count * 1e6)
            load.shut()
        time.sleep(LINGER_S)
    rate = Figure(tuple(opened.count / opened.seconds for opened, _ in found))
    cost = Figure(tuple(spent.cpu_s / opened.count * 1e6 for opened, spent in found))
    redis_cost = Figure(tuple(of_redis))
    busy = "; ".join(f"{spent.server:.0%} / {spent.load:.0%} / {spent.others:.0%}" for _, spent in found)
    table = Table(
        f"W3: {CLIENTS:,} members of two-person chats connect",
        (
            "connects/s, one core",
            "CPU µs a connect",
            "Redis CPU µs a connect",
            "KiB of RSS a connected member",
            "CPU µs a second, idle",
            "busy: gateway / load side / other core",
        ),
        [(rate, cost, redis_cost, f"{kib:.1f}", f"{idle_us:.2g}", busy)],
        [
            Bound("connects/s a core", rate.median, 500, 1500, at_least=True),
            Bound("RSS a connected member", kib, 20, 12, " KiB"),
        ],
        ["Each connect checks a token, the membership and takes a seat in presence; half of the chats open with it."],
    )
    costs = {"connect_us": cost.median, "redis_connect_us": redis_cost.median, "connection_kib": kib}
    return table, costs | {"idle_us": idle_us, "node_mib": node_mib}


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
