"""W1, fan-out: one room with 1,000 and with 5,000 subscribers, singly and in bursts, beside the peers and the limit."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks import product
from benchmarks.fanout import BURST, Contender, Fanout, measure
from benchmarks.load import LoadFailed
from benchmarks.peers import centrifugo, channels, limit, nchan, plain, socketio
from benchmarks.progress import Progress
from benchmarks.result import Bound, Chart, Section, Table
from tests.support.servers import ServerFailed

US = Contender("chat-gateway", product.room, product.SETTINGS)
LIMIT = Contender("the limit: C, only write()", limit.room, limit.SETTINGS)
NCHAN = Contender("nchan, Redis", nchan.room, nchan.SETTINGS, nchan.missing)
SOCKET_IO = Contender("Socket.IO, Redis adapter", socketio.room, socketio.SETTINGS, socketio.missing)
PEERS = (
    NCHAN,
    SOCKET_IO,
    Contender("Centrifugo, Redis", centrifugo.room, centrifugo.SETTINGS, centrifugo.missing),
    Contender("Starlette, redis-py loop", plain.room, plain.SETTINGS),
    Contender("Django Channels, channels_redis", channels.room, channels.SETTINGS, channels.missing),
)
BURSTS_AT_LEAST = ((NCHAN, 8), (SOCKET_IO, 20))
"""The required ratio of our deliveries per second in bursts to those of a peer."""


def count_steps(quick: bool) -> int:
    """Number of measurements: each contender with each room size."""
    return len(_sizes(quick)) * len(_contenders(quick))


def run(folder: Path, quick: bool, progress: Progress) -> Section:
    """Measure all contenders one after the other in the same run. A failing peer is left out and named."""
    tables, charts = [], []
    costs: dict[str, float] = {}
    notes = [f"**{one.name}:** {one.settings}" for one in _contenders(quick)]
    notes += [f"**{one.name}:** not measured, {one.missing()}" for one in PEERS if one.missing() and not quick]
    for subscribers in _sizes(quick):
        results = []
        for number, contender in enumerate(_contenders(quick)):
            progress.next(f"W1 × {subscribers:,}: {contender.name}")
            runs, seconds = (3, 0.7) if quick else (5, 1.5)
            where = folder / f"{subscribers}-{number}"
            try:
                results.append(measure(contender, where, subscribers=subscribers, runs=runs, seconds=seconds))
            except (LoadFailed, ServerFailed, OSError) as error:
                if contender not in PEERS:
                    raise
                notes.append(f"**{contender.name}** failed with {subscribers:,} subscribers: {error}")
        tables.append(_table(subscribers, results, notes if subscribers == _sizes(quick)[-1] else ()))
        charts += _charts(subscribers, results)
        us = next(result for result in results if result.name == US.name)
        costs = costs or {"delivery_us": us.singly_us.median}
    return Section("w1", tables, charts, costs)


def _sizes(quick: bool) -> tuple[int, ...]:
    return (1000,) if quick else (1000, 5000)


def _contenders(quick: bool) -> list[Contender]:
    return [LIMIT, US] if quick else [LIMIT, US, *(peer for peer in PEERS if not peer.missing())]


def _table(subscribers: int, results: Sequence[Fanout], notes: Sequence[str]) -> Table:
    by_name = {result.name: result for result in results}
    limit_, us = by_name[LIMIT.name], by_name[US.name]
    rows = [
        (
            one.name,
            one.singly_us,
            one.burst_us,
            f"{one.singly_us.median / limit_.singly_us.median:.2f}× / "
            f"{one.burst_us.median / limit_.burst_us.median:.1f}×",
            one.burst_rate,
            "–" if one is us else f"{us.burst_rate.median / one.burst_rate.median:.1f}×",
            f"{one.kib:.1f}",
            f"{one.load:.0%}",
            one.limit or "–",
        )
        for one in results
    ]
    bounds = [
        Bound("CPU a delivery singly, of the limit's", us.singly_us.median / limit_.singly_us.median, 1.3, 1.1, "×"),
        Bound(
            f"CPU a delivery in bursts of {BURST}, of the limit's",
            us.burst_us.median / limit_.burst_us.median,
            2,
            1.2,
            "×",
        ),
    ]
    for peer, factor in BURSTS_AT_LEAST:
        if peer.name in by_name:
            times = us.burst_rate.median / by_name[peer.name].burst_rate.median
            bounds.append(
                Bound(f"deliveries/s in bursts, of those of {peer.name}", times, factor, unit="×", at_least=True)
            )
    columns = (
        "server",
        "CPU µs a delivery, singly",
        f"in bursts of {BURST}",
        "of the limit's",
        "deliveries/s in bursts",
        "ours, of its",
        "KiB of RSS a subscriber",
        "load side busy in bursts",
        "set their pace",
    )
    return Table(f"W1: one room × {subscribers:,} subscribers", columns, rows, bounds, notes)


def _charts(subscribers: int, results: Sequence[Fanout]) -> list[Chart]:
    names = [result.name for result in results]
    of = f"one room × {subscribers:,} subscribers"
    costs = {
        "singly": [result.singly_us for result in results],
        f"in bursts of {BURST}": [result.burst_us for result in results],
    }
    rates = {f"in bursts of {BURST}": [result.burst_rate for result in results]}
    return [
        Chart(f"w1-{subscribers}-cpu", f"W1, {of}: CPU of a delivery", "µs (logarithmic)", names, costs, True),
        Chart(f"w1-{subscribers}-rate", f"W1, {of}: deliveries", "a second (logarithmic)", names, rates, True),
    ]
