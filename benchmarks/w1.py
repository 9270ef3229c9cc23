"""W1, fan-out: one room with 1,000 and with 5,000 subscribers, singly and in bursts, beside the peers and the limit."""

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import product
from benchmarks.fanout import BURST, Contender, Fanout, measure
from benchmarks.peers import channels, limit, nchan, plain, socketio
from benchmarks.result import Bound, Table

US = Contender("chat-gateway", product.room)
LIMIT = Contender("the limit: C, only write()", limit.room)
NCHAN = Contender("nchan, Redis", nchan.room)
SOCKET_IO = Contender("Socket.IO, Redis adapter", socketio.room)
PEERS = (
    NCHAN,
    SOCKET_IO,
    Contender("Starlette, redis-py loop", plain.room),
    Contender("Django Channels, channels_redis", channels.room),
)


def run(folder: Path, quick: bool) -> Sequence[Table]:
    """All contenders in the same run, one after the other."""
    tables = []
    for subscribers in (1000,) if quick else (1000, 5000):
        contenders = (LIMIT, US) if quick else (LIMIT, US, *PEERS)
        results = []
        for number, contender in enumerate(contenders):
            sys.stderr.write(f"W1 × {subscribers}: {contender.name} ({number + 1}/{len(contenders)})\n")
            runs, singles, bursts = (3, 100, 10) if quick else (5, 200, 20)
            where = folder / f"{subscribers}-{number}"
            results.append(
                measure(contender, where, subscribers=subscribers, runs=runs, singles=singles, bursts=bursts)
            )
        tables.append(_table(subscribers, results))
    return tables


def _table(subscribers: int, results: Sequence[Fanout]) -> Table:
    columns = (
        "server",
        "CPU µs a delivery, singly",
        f"in bursts of {BURST}",
        "deliveries/s in bursts",
        "vs. the limit",
    )
    by_name = {result.name: result for result in results}
    limit_, us = by_name[LIMIT.name], by_name[US.name]
    rows = [
        (
            result.name,
            result.singly_us,
            result.burst_us,
            result.burst_rate,
            f"{result.singly_us.median / limit_.singly_us.median:.2f}× / "
            f"{result.burst_us.median / limit_.burst_us.median:.1f}×",
        )
        for result in results
    ]
    singly = us.singly_us.median / limit_.singly_us.median
    burst = us.burst_us.median / limit_.burst_us.median
    bounds = [
        Bound(f"singly ≤ 1.3× the limit's CPU: {singly:.2f}×", singly <= 1.3),
        Bound(f"bursts ≤ 2× the limit's CPU: {burst:.2f}×", burst <= 2),
        Bound("aim: singly ≤ 1.1×", singly <= 1.1, is_must=False),
        Bound("aim: bursts ≤ 1.2×", burst <= 1.2, is_must=False),
    ]
    for peer, factor in ((NCHAN, 8), (SOCKET_IO, 20)):
        if peer.name in by_name:
            times = us.burst_rate.median / by_name[peer.name].burst_rate.median
            bounds.append(
                Bound(f"deliveries/s in bursts ≥ {factor}× those of {peer.name}: {times:.1f}×", times >= factor)
            )
    return Table(f"W1: one room × {subscribers:,} subscribers", columns, rows, bounds)
