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
OF_LIMIT_SINGLY, OF_LIMIT_IN_BURSTS = (1.2, 1.1), (1.3, 1.15)
"""Required and aimed CPU of a delivery, as ratios to the limit's."""
BURSTS_AT_LEAST = ((NCHAN, 8), (SOCKET_IO, 20))
"""The required ratio of our deliveries per second in bursts to those of a peer."""


def count_steps(quick: bool) -> int:
    """Number of measurements: the limit and the gateway, then each peer, with each room size."""
    return len(_sizes(quick)) * (1 + len(_peers(quick)))


def run(folder: Path, quick: bool, progress: Progress) -> Section:
    """Measure the limit and the gateway in turns, then each peer, in one run. A failing peer is left out and named."""
    tables, charts = [], []
    costs: dict[str, float] = {}
    runs, seconds = (3, 0.7) if quick else (5, 1.5)
    notes = [f"**{one.name}:** {one.settings}" for one in (LIMIT, US, *_peers(quick))]
    notes += [f"**{one.name}:** not measured, {one.missing()}" for one in PEERS if one.missing() and not quick]
    for subscribers in _sizes(quick):
        progress.next(f"W1 × {subscribers:,}: {US.name} and {LIMIT.name}, in turns")
        where = folder / f"{subscribers}"
        results = measure([LIMIT, US], where / "limit", subscribers=subscribers, runs=3 * runs, seconds=seconds)
        costs = costs or {"delivery_us": results[1].singly_us.median}
        for number, peer in enumerate(_peers(quick)):
            progress.next(f"W1 × {subscribers:,}: {peer.name}")
            try:
                results += measure([peer], where / f"{number}", subscribers=subscribers, runs=runs, seconds=seconds)
            except (LoadFailed, ServerFailed, OSError) as error:
                notes.append(f"**{peer.name}** failed with {subscribers:,} subscribers: {error}")
        tables.append(_table(subscribers, results, notes if subscribers == _sizes(quick)[-1] else ()))
        charts += _charts(subscribers, results)
    return Section("w1", tables, charts, costs)


def _sizes(quick: bool) -> tuple[int, ...]:
    return (1000,) if quick else (1000, 5000)


def _peers(quick: bool) -> list[Contender]:
    return [] if quick else [peer for peer in PEERS if not peer.missing()]


def _table(subscribers: int, results: Sequence[Fanout], notes: Sequence[str]) -> Table:
    by_name = {result.name: result for result in results}
    limit_, us = by_name[LIMIT.name], by_name[US.name]
    singly, bursts = us.singly_us.over(limit_.singly_us), us.burst_us.over(limit_.burst_us)
    rows = [
        (
            one.name,
            one.singly_us,
            one.burst_us,
            f"{singly} / {bursts}" if one is us else _medians(one, limit_),
            one.burst_rate,
            "–" if one is us else f"{us.burst_rate.median / one.burst_rate.median:.1f}×",
            f"{one.kib:.1f}",
            f"{one.load:.0%}",
            one.limit or "–",
        )
        for one in results
    ]
    bounds = [
        Bound("CPU a delivery singly, of the limit's", singly.median, *OF_LIMIT_SINGLY, "×"),
        Bound(f"CPU a delivery in bursts of {BURST}, of the limit's", bursts.median, *OF_LIMIT_IN_BURSTS, "×"),
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
        "of the limit's, singly / in bursts",
        "deliveries/s in bursts",
        "ours, of its",
        "KiB of RSS a subscriber",
        "load side busy in bursts",
        "set their pace",
    )
    return Table(f"W1: one room × {subscribers:,} subscribers", columns, rows, bounds, notes)


def _medians(one: Fanout, limit_: Fanout) -> str:
    """The ratios of the medians, of what was not measured in turns."""
    singly, bursts = one.singly_us.median / limit_.singly_us.median, one.burst_us.median / limit_.burst_us.median
    return f"{singly:.2f} / {bursts:.1f}"


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
