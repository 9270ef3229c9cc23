"""W6, scaling: W1 and W2 with 1, 2 and 4 nodes, each with the load of the single node, and over several Redis.

All nodes share the core of the server: compared is their total CPU time per unit of work. The rates are low enough for
one core.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import product
from benchmarks.fanout import BURST, SETTLE_S, Rounds
from benchmarks.load import Load
from benchmarks.measured import Measured, Meter
from benchmarks.progress import Progress
from benchmarks.result import Bound, Chart, Figure, Section, Table
from benchmarks.workloads import w2

NODES = (1, 2, 4)
SHARDS = (1, 2, 4)
SUBSCRIBERS = 500
"""A node."""
CHATS = 250
"""A node."""
RATE = 750
"""Messages per second and node: four nodes do not saturate the core."""
TURNS = 2
"""Number of rounds over all layouts: the speed of the machine changes within a minute."""
LINGER_S = 7.0
"""Time until the users of disconnected sockets have left."""
FLAT = 1.25
"""The tolerance for constant costs, as batches have different sizes in every run."""


@dataclass(frozen=True, slots=True)
class Scaled:
    """The results of a number of nodes and Redis servers: CPU time of all gateways and of all Redis servers."""

    nodes: int
    shards: int
    singly_us: Figure
    """Per delivery in the room, single messages."""
    burst_us: Figure
    """Per delivery in the room, in bursts."""
    room_redis_us: Figure
    """Per message of the room in bursts: the work of Redis without its loop iterations."""
    message_us: Figure
    """Per message of two-person chats, with members on two nodes if there are two."""
    redis_us: Figure
    """Redis per such message, including the rate limit of the sender."""
    database_us: Figure
    """PostgreSQL per such message."""
    busiest: float
    """The share of the busiest shard in the CPU time of Redis."""


def count_steps(quick: bool) -> int:
    """Number of steps: each layout in each round."""
    return len(_layouts(quick)) * (1 if quick else TURNS)


def _layouts(quick: bool) -> list[tuple[int, int]]:
    return [*((nodes, 1) for nodes in NODES), *((2, shards) for shards in (SHARDS[1:2] if quick else SHARDS[1:]))]


def run(folder: Path, quick: bool, progress: Progress) -> Section:
    """Measure more nodes on one Redis, then two nodes on more Redis servers."""
    layouts = _layouts(quick)
    measured: list[list[Scaled]] = [[] for _ in layouts]
    for turn in range(1 if quick else TURNS):
        for (nodes, shards), of_layout in zip(layouts, measured, strict=True):
            progress.next(f"W6: {nodes} nodes, {shards} Redis")
            where = folder / f"{nodes}-{shards}-{turn}"
            where.mkdir()
            of_layout.append(_measure(where, nodes, shards, *((2, 1.0) if quick else (3, 1.5))))
    found = [_joined(of_layout) for of_layout in measured]
    by_nodes = [one for one in found if one.shards == 1]
    by_shards = [one for one in found if one.nodes == 2]
    one, most = by_nodes[0], by_nodes[-1]
    slope = (most.room_redis_us.median - one.room_redis_us.median) / (most.nodes - one.nodes)
    receiver_us = min(max(0.0, slope), most.redis_us.median / 2)  # two nodes receive, which is not the only cost
    costs = {
        "redis_receiver_us": receiver_us,
        "redis_message_us": max(0.0, most.redis_us.median - 2 * receiver_us),
        "database_us": most.database_us.median,
    }
    return Section("w6", [_node_table(by_nodes), _shard_table(by_shards)], _charts(by_nodes), costs)


def _joined(turns: Sequence[Scaled]) -> Scaled:
    """The runs of one layout in all rounds."""

    def joined(read: Callable[[Scaled], Figure]) -> Figure:
        return Figure(tuple(value for turn in turns for value in read(turn).runs))

    return Scaled(
        turns[0].nodes,
        turns[0].shards,
        singly_us=joined(lambda turn: turn.singly_us),
        burst_us=joined(lambda turn: turn.burst_us),
        room_redis_us=joined(lambda turn: turn.room_redis_us),
        message_us=joined(lambda turn: turn.message_us),
        redis_us=joined(lambda turn: turn.redis_us),
        database_us=joined(lambda turn: turn.database_us),
        busiest=max(turn.busiest for turn in turns),
    )


def _measure(folder: Path, nodes: int, shards: int, runs: int, seconds: float) -> Scaled:
    with product.running(folder, nodes=nodes + 1, shards=shards, **w2.LIMITED) as started:
        gateways = [Measured.alone(node.pid) for node in started.nodes]
        redis = [Measured(server.pid) for server in started.redis]
        singly, burst, room_redis = _room(folder, started, gateways[:nodes], runs, seconds)
        ports = [node.port for node in started.nodes[:nodes]]
        chats = started.chats([2] * (CHATS * nodes))
        sockets = [
            socket
            for number, chat in enumerate(chats)
            for socket in w2.sockets([chat], ports[number % nodes], ports[(number + 1) % nodes])
        ]
        message, of_redis, of_database, busiest = [], [], [], []
        with Load(sockets, folder, prefix=product.PREFIX, message=product.message(w2.TEXT)) as load:
            load.open()
            time.sleep(SETTLE_S)
            load.write(seconds, len(chats), rate=RATE * nodes)
            for _ in range(runs):
                meter = Meter(lambda: load.busy_s, *gateways[:nodes])
                before, database = [server.cpu_s for server in redis], started.database_cpu_s()
                written = load.write(seconds, len(chats), rate=RATE * nodes)
                message.append(meter.stop().cpu_s / written.acked * 1e6)
                spent = [server.cpu_s - was for server, was in zip(redis, before, strict=True)]
                of_redis.append(sum(spent) / written.acked * 1e6)
                of_database.append((started.database_cpu_s() - database) / written.acked * 1e6)
                busiest.append(max(spent) / sum(spent))
            load.shut()
    return Scaled(
        nodes,
        shards,
        singly_us=Figure(tuple(singly)),
        burst_us=Figure(tuple(burst)),
        room_redis_us=Figure(tuple(room_redis)),
        message_us=Figure(tuple(message)),
        redis_us=Figure(tuple(of_redis)),
        database_us=Figure(tuple(of_database)),
        busiest=max(busiest),
    )


def _room(
    folder: Path,
    started: product.Product,
    gateways: Sequence[Measured],
    runs: int,
    seconds: float,
) -> tuple[list[float], list[float], list[float]]:
    """One room with subscribers spread evenly over the nodes and a writer on another node, which is not measured."""
    room = product.ProductRoom(started, SUBSCRIBERS * len(gateways))
    deliveries = SUBSCRIBERS * len(gateways)
    singly, burst, of_redis = [], [], []
    with Load(room.sockets, folder, prefix=room.prefix, message=room.message) as load:
        load.open()
        time.sleep(SETTLE_S)
        rounds = Rounds(room.publish, load, deliveries + room.extra, Meter(lambda: load.busy_s, *gateways))
        rounds.run(1, seconds / 2)
        for _ in range(runs):
            sent, spent = rounds.run(1, seconds)
            singly.append(spent.cpu_s / (sent * deliveries) * 1e6)
            before = started.redis_cpu_s()
            sent, spent = rounds.run(BURST, seconds)
            of_redis.append((started.redis_cpu_s() - before) / sent * 1e6)
            burst.append(spent.cpu_s / (sent * deliveries) * 1e6)
        load.shut()
    time.sleep(LINGER_S)
    return singly, burst, of_redis


def _node_table(found: Sequence[Scaled]) -> Table:
    one, two, *_, most = found
    rows = [
        (
            scaled.nodes,
            scaled.singly_us,
            scaled.burst_us,
            scaled.message_us,
            scaled.redis_us,
            scaled.database_us,
        )
        for scaled in found
    ]
    return Table(
        f"W6: more nodes, each with {SUBSCRIBERS} subscribers of a room, {CHATS} two-person chats at {RATE} messages/s",
        (
            "nodes",
            "W1: CPU µs a delivery, singly",
            f"in bursts of {BURST}",
            "W2: gateway CPU µs a message, all nodes",
            "Redis CPU µs a message",
            "PostgreSQL CPU µs a message",
        ),
        rows,
        [
            Bound(
                f"W6: CPU a delivery with {most.nodes} nodes, of that with one",
                most.singly_us.median / one.singly_us.median,
                FLAT,
                unit="×",
            ),
            Bound(
                f"W6: gateway CPU a message with {most.nodes} nodes, of that with two",
                most.message_us.median / two.message_us.median,
                FLAT,
                unit="×",
            ),
        ],
        [
            "From two nodes on, the two of a chat are on two of them: the second receives each message from Redis, "
            "which is what the step from one to two costs. After that nothing grows.",
            "The nodes share a core: the busier it is, the more each finds to do at once, and that saves turns.",
        ],
    )


def _shard_table(found: Sequence[Scaled]) -> Table:
    rows = [(one.shards, one.message_us, one.redis_us, f"{one.busiest:.0%}") for one in found]
    return Table(
        "W6: two nodes on more Redis, sharded by chat and by user",
        ("Redis", "gateway CPU µs a message", "Redis CPU µs a message, all of them", "the busiest one's share"),
        rows,
        [
            Bound(
                f"W6: gateway CPU a message with {found[-1].shards} Redis, of that with one",
                found[-1].message_us.median / found[0].message_us.median,
                None,
                FLAT,
                unit="×",
            )
        ],
    )


def _charts(found: Sequence[Scaled]) -> list[Chart]:
    nodes = [float(one.nodes) for one in found]
    messages = {
        "all gateways": [one.message_us for one in found],
        "Redis": [one.redis_us for one in found],
        "PostgreSQL": [one.database_us for one in found],
    }
    deliveries = {
        "singly": [one.singly_us for one in found],
        f"in bursts of {BURST}": [one.burst_us for one in found],
    }
    return [
        Chart("w6-message", "W6: CPU of a message of a two-person chat", "µs", (), messages, x=nodes, x_unit="nodes"),
        Chart("w6-delivery", "W6: CPU of a delivery in one room", "µs", (), deliveries, x=nodes, x_unit="nodes"),
    ]
