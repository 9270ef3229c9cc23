"""What a process stands on: Redis, the database, the durable queue."""

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from gateway.metrics.exposition import FAST, Registry

REDIS_EVENTS: Final = (
    "reconnected",
    "publish_dropped",
    "probe_failed",
    "lease_lost",
    "lease_abandoned",
    "node_swept",
)
QUEUE_LINKS: Final = ("publish", "consume")


class ServerMetrics:
    """Which of them answer."""

    def __init__(self, registry: Registry) -> None:
        self._up = Gauge(
            "chat_gateway_dependency_up",
            "Whether it answers: redis, database, queue; subscription is this node's own ear in Redis.",
            ["dependency"],
            registry=registry,
        )

    def watch(self, dependencies: Callable[[], dict[str, bool]]) -> None:
        """Read this at every scrape; the names are from a closed set, and all there by now."""

        def reader(name: str) -> Callable[[], float]:
            return lambda: float(dependencies()[name])

        for name in dependencies():
            self._up.labels(name).set_function(reader(name))


class ShardMetrics:
    """Told by the rooms in one Redis."""

    def __init__(self, events: Counter, wait: Histogram, probe: Histogram, shard: str) -> None:
        self._events = {event: events.labels(event, shard) for event in REDIS_EVENTS}
        self.answered: Callable[[float], None] = wait.labels(shard).observe
        """Told at each read of the command link."""
        self.probed: Callable[[float], None] = probe.labels(shard).observe
        """Told at each probe that came back."""

    def happened(self, event: str) -> None:
        """Something happened to a link to Redis; `event` is one of REDIS_EVENTS."""
        self._events[event].inc()


class RedisMetrics:
    """Told by the rooms in Redis, each shard by its number: one where there is one Redis."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._events = Counter(
            "chat_gateway_redis_events_total",
            "What happened to the links to Redis, by shard: " + ", ".join(REDIS_EVENTS) + ".",
            ["event", "shard"],
            registry=registry,
        )
        self._wait = Histogram(
            "chat_gateway_redis_wait_seconds",
            "How long the oldest command that a read of the link answered had waited, by shard.",
            ["shard"],
            registry=registry,
            buckets=FAST,
        )
        self._probe = Histogram(
            "chat_gateway_redis_probe_seconds",
            "From a probe's publication to its arrival over this node's own subscription, by shard.",
            ["shard"],
            registry=registry,
            buckets=FAST,
        )
        self._shards: dict[int, ShardMetrics] = {}
        self.of(0)

    def of(self, shard: int) -> ShardMetrics:
        """Those of one shard: its place in the list, or among a cluster's masters by their slots."""
        if shard not in self._shards:
            self._shards[shard] = ShardMetrics(self._events, self._wait, self._probe, str(shard))
        return self._shards[shard]

    def watch(self, unpublished: Callable[[], int]) -> None:
        """Read this at every scrape."""
        text = "Publications that wait for Redis to be back; 10,000 at most a shard."
        self._registry.watch("chat_gateway_redis_unpublished", text, lambda: float(unpublished()))


class DatabaseMetrics:
    """Told by the pool."""

    def __init__(self, registry: Registry) -> None:
        self.waited: Callable[[float], None] = Histogram(
            "chat_gateway_database_wait_seconds",
            "How long reads and rare writes waited for one of the connections that are theirs; commits have others.",
            registry=registry,
            buckets=FAST,
        ).observe
        """Told whenever one had its turn, or gave up."""


class QueueMetrics:
    """Told by the durable queue, where there is one."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._messages = Counter(
            "chat_gateway_queue_messages_total",
            "Messages taken from the durable queue, by outcome: stored, duplicate, or why they are dead letters.",
            ["outcome"],
            registry=registry,
        )
        self._links = Counter(
            "chat_gateway_queue_links_lost_total",
            "Connections to the durable queue that ended, by link: " + ", ".join(QUEUE_LINKS) + ".",
            ["link"],
            registry=registry,
        )

    def watch(self, unacked: Callable[[], int], outcomes: Iterable[str]) -> None:
        """There is a queue: read this at every scrape; a message of it may have one of these outcomes."""
        text = "Messages taken from the durable queue and not yet acknowledged."
        self._registry.watch("chat_gateway_queue_unacked", text, lambda: float(unacked()))
        for outcome in outcomes:
            self._messages.labels(outcome)
        for link in QUEUE_LINKS:
            self._links.labels(link)

    def settled(self, outcome: str) -> None:
        """A message from the queue was stored or put aside; `outcome` is from a closed set."""
        self._messages.labels(outcome).inc()

    def link_lost(self, link: str) -> None:
        """A connection to the queue ended; `link` is one of QUEUE_LINKS."""
        self._links.labels(link).inc()
