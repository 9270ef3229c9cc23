"""The metrics of a process' dependencies: Redis, the database and the durable queue."""

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import Gauge

from gateway.metrics.counters import CounterFamily, HistogramFamily, histogram
from gateway.metrics.exposition import FAST, Registry

REDIS_EVENTS: Final = (
    "reconnected",
    "publish_dropped",
    "probe_failed",
    "foreign_publication",
    "lease_lost",
    "lease_abandoned",
    "node_swept",
)
QUEUE_LINKS: Final = ("publish", "consume", "consume_chats", "events")


class ServerMetrics:
    """Which dependencies are up."""

    def __init__(self, registry: Registry) -> None:
        self._up = Gauge(
            "chat_gateway_dependency_up",
            "Whether it is up: redis, database, queue, or subscription (this node's pub/sub connection to Redis).",
            ["dependency"],
            registry=registry,
        )

    def watch(self, dependencies: Callable[[], dict[str, bool]]) -> None:
        """Add a gauge per dependency that is read at every scrape. All names must be present at this call."""

        def reader(name: str) -> Callable[[], float]:
            return lambda: float(dependencies()[name])

        for name in dependencies():
            self._up.labels(name).set_function(reader(name))


class ShardMetrics:
    """Called by the objects that use one Redis."""

    def __init__(self, events: CounterFamily, wait: HistogramFamily, probe: HistogramFamily, shard: str) -> None:
        self._events = {event: events.labels(event, shard) for event in REDIS_EVENTS}
        self.answered: Callable[[float], None] = wait.labels(shard).observe
        """Called at each read of the command connection, with the longest wait in seconds."""
        self.probed: Callable[[float], None] = probe.labels(shard).observe
        """Called at each probe that arrived, with its time in seconds."""

    def happened(self, event: str) -> None:
        """Count an event of a connection to Redis; `event` is one of REDIS_EVENTS."""
        self._events[event].inc()


class RedisMetrics:
    """The metrics of all shards by number; a single Redis is shard 0."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._events = CounterFamily(
            "chat_gateway_redis_events_total",
            "Events of the connections to Redis, by shard: " + ", ".join(REDIS_EVENTS) + ".",
            ["event", "shard"],
            registry=registry,
        )
        self._wait = HistogramFamily(
            "chat_gateway_redis_wait_seconds",
            "Time that the oldest command waited among those that one read of the connection completed, by shard.",
            ["shard"],
            registry=registry,
            buckets=FAST,
        )
        self._probe = HistogramFamily(
            "chat_gateway_redis_probe_seconds",
            "Time from a probe's publication to its arrival over this node's own subscription, by shard.",
            ["shard"],
            registry=registry,
            buckets=FAST,
        )
        self._shards: dict[int, ShardMetrics] = {}
        self.of(0)

    def of(self, shard: int) -> ShardMetrics:
        """The metrics of one shard: its place in the list, or among a cluster's masters in the order of their slots."""
        if shard not in self._shards:
            self._shards[shard] = ShardMetrics(self._events, self._wait, self._probe, str(shard))
        return self._shards[shard]

    def watch(self, unpublished: Callable[[], int], differing: Callable[[], int]) -> None:
        """Add gauges that call these functions at every scrape."""
        text = "Other processes with a different list in REDIS_URL, or with the same REDIS_PREFIX for another store."
        self._registry.watch("chat_gateway_redis_peers_differing", text, lambda: float(differing()))
        text = "Publications that wait until Redis is back; at most 10,000 per shard."
        self._registry.watch("chat_gateway_redis_unpublished", text, lambda: float(unpublished()))


class DatabaseMetrics:
    """Called by the connection pool."""

    def __init__(self, registry: Registry) -> None:
        self.waited: Callable[[float], None] = histogram(
            "chat_gateway_database_wait_seconds",
            "Time that reads and rare writes waited for a connection; commits have connections of their own.",
            registry=registry,
            buckets=FAST,
        ).observe
        """Called when a wait has ended, with a connection or by its timeout."""


class QueueMetrics:
    """Called by the durable queue, if there is one."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._messages = CounterFamily(
            "chat_gateway_queue_messages_total",
            "Messages consumed from the durable queue, by outcome: stored, duplicate, or the reason of a dead letter.",
            ["outcome"],
            registry=registry,
        )
        self._links = CounterFamily(
            "chat_gateway_queue_links_lost_total",
            "Connections to the durable queue that ended, by link: " + ", ".join(QUEUE_LINKS) + ".",
            ["link"],
            registry=registry,
        )

    def watch(self, unacked: Callable[[], int], outcomes: Iterable[str]) -> None:
        """Add the gauge of a queue, read at every scrape, and all counters; `outcomes` are those of its messages."""
        text = "Messages consumed from the durable queue and not yet acknowledged."
        self._registry.watch("chat_gateway_queue_unacked", text, lambda: float(unacked()))
        for outcome in outcomes:
            self._messages.labels(outcome)
        for link in QUEUE_LINKS:
            self._links.labels(link)

    def settled(self, outcome: str) -> None:
        """Count a message that was stored or dead-lettered; `outcome` is from a closed set."""
        self._messages.labels(outcome).inc()

    def link_lost(self, link: str) -> None:
        """Count a lost connection to the queue; `link` is one of QUEUE_LINKS."""
        self._links.labels(link).inc()
