"""W3, connections: members connect (token, membership, presence), and stay. W4, resume storm: all come back at once."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from benchmarks import product
from benchmarks.load import Load
from benchmarks.measured import Measured
from benchmarks.result import Bound, Figure, Table
from tests.cluster import GatewayNode

CLIENTS = 5000
BEHIND = 20


def run(folder: Path, quick: bool) -> Sequence[Table]:
    """Connections in two-person chats, then the storm: in one room, and in two-person chats."""
    runs = 1 if quick else 3
    with product.running(folder, MESSAGES_PER_MINUTE=0) as started:
        (node,) = started.nodes
        sys.stderr.write(f"W3: making {CLIENTS:,} users twice\n")
        pairs = started.chats([2] * (CLIENTS // 2))
        (room,) = started.chats([CLIENTS])
        return [_connections(folder, node, pairs, runs), _storms(folder, node, pairs, room, runs)]


def _connections(folder: Path, node: GatewayNode, pairs: Sequence[Sequence[product.Member]], runs: int) -> Table:
    measured = Measured.alone(node.pid)
    sockets = [member.socket(node.port) for pair in pairs for member in pair]
    rates, costs, sizes = [], [], []
    for number in range(runs + 1):
        sys.stderr.write(f"W3: connecting {CLIENTS:,} ({number}/{runs})\n")
        with Load(sockets, folder, prefix=product.PREFIX) as load:
            before, cpu = measured.rss_bytes, measured.cpu_s
            opened = load.open(128)
            time.sleep(2)
            if number == 0:  # only the first time is memory taken that was not there before
                sizes.append((measured.rss_bytes - before) / opened.count / 1024)
            else:
                rates.append(opened.count / opened.seconds)
                costs.append((measured.cpu_s - cpu) / opened.count * 1e6)
            load.shut()
        time.sleep(7)  # until their seats are free again
    rate, size = Figure(tuple(rates)), Figure(tuple(sizes))
    return Table(
        f"W3: {CLIENTS:,} members of two-person chats connect",
        ("connects/s, one core", "CPU µs a connect", "KiB of RSS a connected member"),
        [(rate, Figure(tuple(costs)), size)],
        [
            Bound(f"≥ 500 connects/s a core: {rate.median:,.0f}", rate.median >= 500),
            Bound(f"≤ 20 KiB a connected member: {size.median:.1f}", size.median <= 20),
            Bound("aim: 1,500/s", rate.median >= 1500, is_must=False),
            Bound("aim: ≤ 12 KiB", size.median <= 12, is_must=False),
        ],
    )


def _storms(
    folder: Path,
    node: GatewayNode,
    pairs: Sequence[Sequence[product.Member]],
    room: Sequence[product.Member],
    runs: int,
) -> Table:
    rows, bounds = [], []
    for name, members in (("in one room", room), ("in two-person chats", [one for pair in pairs for one in pair])):
        _say(folder, node, members)
        times, pages = [], []
        for number in range(runs):
            sys.stderr.write(f"W4: {name} ({number + 1}/{runs})\n")
            with Load([one.socket(node.port, since=0) for one in members], folder, prefix=product.PREFIX) as load:
                before, start = _store_pages(node), time.monotonic()
                load.open(512)
                load.until_caught_up(len(members))
                times.append(time.monotonic() - start)
                pages.append(_store_pages(node) - before)
                load.until(len(members) * BEHIND)
                load.shut()
            time.sleep(7)
        taken = Figure(tuple(times))
        rows.append((name, taken, Figure(tuple(pages))))
        bounds.append(Bound(f"all caught up in ≤ 10 s, {name}: {taken.median:.1f} s", taken.median <= 10))
        bounds.append(Bound(f"aim: 3 s, {name}", taken.median <= 3, is_must=False))
        if name == "in one room":
            bounds.append(Bound(f"queries do not grow with the clients: {max(pages):.0f}", max(pages) < 100))
    return Table(
        f"W4: {CLIENTS:,} clients come back at once, each {BEHIND} messages behind",
        ("", "seconds until all are caught up", "pages asked of the store"),
        rows,
        bounds,
    )


def _say(folder: Path, node: GatewayNode, members: Sequence[product.Member]) -> None:
    """Have BEHIND messages in each of their chats."""
    first = {member.chat_id: member for member in reversed(members)}
    writers = [member.socket(node.port, is_writer=True) for member in first.values()]
    with Load(writers, folder, prefix=product.PREFIX, message=product.message("x" * 100)) as load:
        load.open()
        for number in range(len(writers)):
            load.send(number, BEHIND)
        load.until(len(writers) * BEHIND)
        load.shut()


def _store_pages(node: GatewayNode) -> float:
    for line in httpx.get(f"{node.url}/metrics").text.splitlines():
        if line.startswith('chat_gateway_replay_pages_total{source="store"}'):
            return float(line.split()[-1])
    return 0.0
