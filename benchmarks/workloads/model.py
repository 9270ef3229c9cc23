"""The resources for a number of connections (nodes, cores, memory, Redis shards, database), from measured costs.

A message of a chat with k connected members, spread at random over n nodes, reaches n·(1 − (1 − 1/n)^k) of them.
It costs the node that receives it `message_us` (both members of a two-person chat are there), each further node
`receive_us`, each member beyond two `delivery_us`; Redis `redis_message_us` and `redis_receiver_us` per receiving node.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import ceil

from benchmarks.result import Chart, Figure, Section, Table, short

BUSY = 0.6
"""The planned utilisation of a core: the rest is for peaks and for failed nodes."""
CONNECTIONS_A_NODE = 25_000
"""Upper limit: this number reconnects to other nodes when one ends."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Measured costs: CPU in µs, memory in KiB and MiB."""

    message_us: float
    receive_us: float
    delivery_us: float
    connect_us: float
    idle_us: float
    """Per idle connection and second: its keepalive."""
    connection_kib: float
    node_mib: float
    """A node without connections."""
    redis_message_us: float
    redis_receiver_us: float
    redis_connect_us: float
    database_us: float
    """All processes of PostgreSQL, per message."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of chat: its share of all connections, and the connected members and messages per minute of each chat."""

    name: str
    share: float
    members: int
    per_minute: float


@dataclass(frozen=True, slots=True)
class Traffic:
    """The behaviour of users. `reconnects` are connects per connection and hour."""

    kinds: Sequence[Kind]
    reconnects: float


@dataclass(frozen=True, slots=True)
class Needs:
    """The required resources."""

    connections: int
    nodes: int
    """Processes of one core each."""
    memory_gib: float
    shards: int
    database_cores: int
    messages_s: float
    deliveries_s: float
    gateway_cpu: float
    """Cores that the gateways keep busy."""
    redis_cpu: float
    """Cores that Redis keeps busy."""


MIX = Traffic(
    (
        Kind("two-person chats", 0.85, 2, 1.0),
        Kind("groups", 0.14, 20, 0.5),
        Kind("large rooms", 0.01, 5000, 0.05),
    ),
    reconnects=1.0,
)


def reached(nodes: int, members: int) -> float:
    """The average number of nodes with members of a chat."""
    return float(nodes * (1 - (1 - 1 / nodes) ** members))


def needs(costs: Costs, traffic: Traffic, connections: int) -> Needs:
    """The fewest nodes within BUSY and CONNECTIONS_A_NODE, and the other resources for that number of nodes."""
    nodes = max(1, ceil(connections / CONNECTIONS_A_NODE))
    while ceil(_gateway_cpu(costs, traffic, connections, nodes) / BUSY) > nodes:
        nodes = ceil(_gateway_cpu(costs, traffic, connections, nodes) / BUSY)
    rates = [(kind, connections * kind.share * kind.per_minute / 60) for kind in traffic.kinds]
    messages = sum(rate for _, rate in rates)
    connects = connections * traffic.reconnects / 3600
    redis = sum(
        rate * (costs.redis_message_us + costs.redis_receiver_us * reached(nodes, kind.members)) for kind, rate in rates
    )
    redis_cpu = (redis + connects * costs.redis_connect_us) / 1e6
    return Needs(
        connections,
        nodes,
        (nodes * costs.node_mib * 1024 + connections * costs.connection_kib) / 1024**2,
        max(1, ceil(redis_cpu / BUSY)),
        max(1, ceil(messages * costs.database_us / 1e6 / BUSY)),
        messages,
        sum(rate * kind.members for kind, rate in rates),
        _gateway_cpu(costs, traffic, connections, nodes),
        redis_cpu,
    )


def _gateway_cpu(costs: Costs, traffic: Traffic, connections: int, nodes: int) -> float:
    """Cores that this number of nodes keeps busy in total."""
    spent = connections * (costs.idle_us + traffic.reconnects / 3600 * costs.connect_us)
    for kind in traffic.kinds:
        message = costs.message_us + costs.receive_us * (reached(nodes, kind.members) - 1)
        message += costs.delivery_us * max(0, kind.members - 2)
        spent += connections * kind.share * kind.per_minute / 60 * message
    return spent / 1e6


def costs_of(sections: Sequence[Section]) -> Costs | None:
    """The costs measured by one run; None unless it ran every required workload."""
    found = {name: value for section in sections for name, value in section.costs.items()}
    wanted = {field.name for field in fields(Costs)}
    return Costs(**{name: found[name] for name in wanted}) if wanted <= found.keys() else None


SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000)


def section(costs: Costs, traffic: Traffic = MIX) -> Section:
    """The results of the model as a table and a chart, with all inputs."""
    answers = [needs(costs, traffic, size) for size in SIZES]
    columns = (
        "connections",
        "messages/s",
        "deliveries/s",
        "nodes (a process, a core each)",
        "their CPU, cores",
        "their memory, GiB",
        "Redis shards",
        "PostgreSQL, cores",
    )
    rows = [
        (
            f"{one.connections:,}",
            short(one.messages_s),
            short(one.deliveries_s),
            one.nodes,
            short(one.gateway_cpu),
            short(one.memory_gib),
            one.shards,
            one.database_cores,
        )
        for one in answers
    ]
    mix = "; ".join(
        f"{kind.share:.0%} of the connections in {kind.name} of {kind.members:,}, {kind.per_minute:g} messages a minute"
        for kind in traffic.kinds
    )
    inputs = ", ".join(f"{field.name} {short(getattr(costs, field.name))}" for field in fields(Costs))
    notes = [
        f"Traffic: {mix}; each connection connects anew {traffic.reconnects:g} times an hour.",
        f"Measured in this run: {inputs}.",
        f"Rules: a core is {BUSY:.0%} busy at most, a node has {CONNECTIONS_A_NODE:,} connections at most.",
        "A message of a chat with k connected members over n nodes reaches r = n·(1 − (1 − 1/n)^k) of them. Gateway "
        "CPU: message_us + (r − 1)·receive_us + (k − 2)·delivery_us a message, connect_us a connect, idle_us a "
        "connection and second. Redis CPU: redis_message_us + r·redis_receiver_us a message, redis_connect_us a "
        "connect. PostgreSQL: database_us a message. `benchmarks/workloads/model.py` is the whole of it.",
        "It knows no network, no second data centre and no other database than the one that was measured: a PostgreSQL "
        "server of so many cores is assumed to scale as its processes do.",
    ]
    series = {
        "nodes": [Figure((float(one.nodes),)) for one in answers],
        "memory of the nodes, GiB": [Figure((one.memory_gib,)) for one in answers],
        "Redis shards": [Figure((float(one.shards),)) for one in answers],
        "PostgreSQL, cores": [Figure((float(one.database_cores),)) for one in answers],
    }
    title = "The model: what so many connections need"
    chart = Chart("model", title, "how many", (), series, True, x=SIZES, x_unit="connections (logarithmic)")
    return Section("model", [Table(f"W6: {title[11:]}", columns, rows, notes=notes)], [chart])
