"""W2, the pipeline: 1,000 two-person chats; each message is validated, limited, committed to PostgreSQL, published,
delivered and acknowledged. W5, latency: the same at a fifth of that rate, the two of each chat on two nodes.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import product
from benchmarks.load import Load, Socket, Written
from benchmarks.measured import Measured
from benchmarks.result import Bound, Figure, Table

CHATS = 1000
TEXT = "x" * 100
LIMITED = {"MESSAGES_PER_MINUTE": 100_000}
"""The limiter is asked and counts, but lets everybody through."""


def run(folder: Path, quick: bool) -> Sequence[Table]:
    """The pipeline on one node, then latency over two."""
    seconds, runs = (3.0, 2) if quick else (8.0, 5)
    with product.running(folder, nodes=2, **LIMITED) as started:
        first, second = started.nodes
        chats = started.chats([2] * CHATS)
        frame = product.message(TEXT)
        one = _sockets(chats, first.port, first.port)
        with Load(one, folder, prefix=product.PREFIX, message=frame) as load:
            load.open()
            measured = Measured.alone(first.pid)
            load.write(seconds, CHATS)  # warm-up: PostgreSQL's plans and caches too
            rows, peak = [], 0.0
            for writers in (20, 200, CHATS):
                sys.stderr.write(f"W2: {writers} writers\n")
                written, costs = [], []
                for _ in range(runs):
                    before = measured.cpu_s
                    written.append(load.write(seconds, writers))
                    costs.append((measured.cpu_s - before) / max(1, written[-1].acked) * 1e6)
                rates = Figure(tuple(one.acked / one.seconds for one in written))
                rows.append(_row(f"{writers} writers, each waiting for its ack", rates, Figure(tuple(costs)), written))
                peak, cost = max(peak, rates.median), costs
            sys.stderr.write(f"W2: half of {peak:,.0f} messages/s\n")
            half = [load.write(seconds, CHATS, rate=peak / 2) for _ in range(runs)]
            rows.append(
                _row("half of that, at an even rate", Figure(tuple(w.acked / w.seconds for w in half)), None, half)
            )
            load.shut()
        two = _sockets(chats, first.port, second.port)
        with Load(two, folder, prefix=product.PREFIX, message=frame) as load:
            load.open()
            Measured.alone(second.pid)
            load.write(1, CHATS, rate=peak / 5)
            sys.stderr.write(f"W5: {peak / 5:,.0f} messages/s over two nodes\n")
            fifth = [load.write(seconds, CHATS, rate=peak / 5) for _ in range(runs)]
    p99 = Figure(tuple(w.ack.p99 for w in half)).median
    cost_us = Figure(tuple(cost)).median
    pipeline = Table(
        f"W2: {CHATS:,} two-person chats, the whole path",
        ("load", "durable messages/s", "gateway CPU µs a message", "ack p50 ms", "ack p99 ms", "load side busy"),
        rows,
        [
            Bound(f"≥ 5,000 durable messages/s: {peak:,.0f}", peak >= 5000),
            Bound(f"ack p99 ≤ 60 ms at half of that: {p99:.1f} ms", p99 <= 60),
            Bound(f"aim: 9,000/s at ≤ 60 µs: {cost_us:.0f} µs", peak >= 9000 and cost_us <= 60, is_must=False),
        ],
    )
    return [pipeline, _latency(peak / 5, fifth)]


def _latency(rate: float, fifth: Sequence[Written]) -> Table:
    delivery = Figure(tuple(w.delivery.p99 for w in fifth))
    return Table(
        f"W5: {rate:,.0f} messages/s, the two of each chat on two nodes",
        ("", "p50 ms", "p99 ms", "worst ms"),
        [
            ("send to ack", *(_over(fifth, "ack", name) for name in ("p50", "p99", "worst"))),
            ("send to delivery", *(_over(fifth, "delivery", name) for name in ("p50", "p99", "worst"))),
        ],
        [
            Bound(f"p99 ≤ 20 ms from send to delivery: {delivery.median:.1f} ms", delivery.median <= 20),
            Bound("aim: 5 ms", delivery.median <= 5, is_must=False),
        ],
    )


def _over(written: Sequence[Written], what: str, name: str) -> Figure:
    return Figure(tuple(getattr(getattr(one, what), name) for one in written))


def _sockets(chats: Sequence[Sequence[product.Member]], port: int, other: int) -> list[Socket]:
    """The writer of each chat at one port, then its reader at the other."""
    writers = [writer.socket(port, is_writer=True) for writer, _ in chats]
    return writers + [reader.socket(other, times=number) for number, (_, reader) in enumerate(chats)]


def _row(name: str, rate: Figure, cost: Figure | None, written: Sequence[Written]) -> tuple[object, ...]:
    busy = f"{max(one.busy for one in written):.0%}"
    errors = sum(one.errors for one in written)
    shown = f"{name} ({errors} refused)" if errors else name
    return (shown, rate, cost or "", _over(written, "ack", "p50"), _over(written, "ack", "p99"), busy)
