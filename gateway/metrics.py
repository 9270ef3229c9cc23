"""Every metric of a node, in one place; prefix `chat_gateway_`, base units, no label that grows with users or chats.

Each process has its own registry. Several replicas on one host are scraped each at its own port (`--replica-ports`), as
the shared port would answer for whichever replica took the connection.
"""

import platform
from collections.abc import Callable
from importlib import metadata

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from gateway.codes import Close

CONTENT_TYPE = CONTENT_TYPE_LATEST
_FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_CLOSE_CODES = frozenset({*Close, *range(1000, 1016)})
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200)


class Metrics:
    """The node's metrics. Everything here is synchronous and cheap."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._counters: dict[tuple[str, str, str], Counter] = {}
        Gauge(
            "chat_gateway_build_info",
            "Constant 1; the labels say what runs.",
            ["version", "python"],
            registry=registry,
        ).labels(_version(), platform.python_version()).set(1)
        self._connections = Counter(
            "chat_gateway_handshakes_total",
            "WebSocket handshakes by outcome: accepted, or the reason of the refusal.",
            ["dialect", "outcome"],
            registry=registry,
        )
        self._closes = Counter(
            "chat_gateway_closes_total", "WebSockets closed, by close code.", ["code"], registry=registry
        )
        self._commands = Counter(
            "chat_gateway_commands_total",
            "Commands by dialect, type and outcome: ok, or the error's code.",
            ["dialect", "command", "outcome"],
            registry=registry,
        )
        self._ack = Histogram(
            "chat_gateway_ack_seconds",
            "From an admitted message, edit or deletion to its COMMIT.",
            registry=registry,
            buckets=_FAST,
        )
        self._batch_size = Histogram(
            "chat_gateway_commit_batch_events", "Events a group commit.", registry=registry, buckets=_SIZES
        )
        self._batch_seconds = Histogram(
            "chat_gateway_commit_seconds", "Time of a group commit.", registry=registry, buckets=_FAST
        )
        self._pushes = Counter(
            "chat_gateway_broadcast_pushes_total", "Pushes to local subscribers, encoded once each.", registry=registry
        )
        self._deliveries = Counter(
            "chat_gateway_broadcast_deliveries_total", "Pushes times the subscribers they went to.", registry=registry
        )
        self._bytes = Counter(
            "chat_gateway_broadcast_bytes_total", "Bytes of frames handed to outboxes.", registry=registry
        )
        self.slow_consumers = Counter(
            "chat_gateway_slow_consumers_total", "Clients closed because their outbox was full.", registry=registry
        )
        self.rate_limited = Counter(
            "chat_gateway_rate_limited_total", "Messages refused because the user's minute was full.", registry=registry
        )
        self._gaps = Counter(
            "chat_gateway_gaps_total", "Holes found in a chat's stream on this node.", registry=registry
        )
        self._repaired = Counter(
            "chat_gateway_gap_events_repaired_total", "Events read from the store to close holes.", registry=registry
        )
        self._pages = Counter(
            "chat_gateway_replay_pages_total",
            "Pages of stored events asked for by resumes, by where they came from: memory or store.",
            ["source"],
            registry=registry,
        )
        self.bad_publications = Counter(
            "chat_gateway_bad_publications_total", "Payloads from Redis that were no publications.", registry=registry
        )
        self._notices = Counter(
            "chat_gateway_notices_total",
            "What sockets of many chats were told apart from any chat, by kind.",
            ["kind"],
            registry=registry,
        )
        self._redis = Counter(
            "chat_gateway_redis_events_total",
            "What happened to the links to Redis: reconnected, publish_dropped, probe_failed.",
            ["event"],
            registry=registry,
        )
        self._queue_messages = Counter(
            "chat_gateway_queue_messages_total",
            "Messages taken from the durable queue, by outcome: stored, duplicate, or why they are dead letters.",
            ["outcome"],
            registry=registry,
        )
        self._queue_links = Counter(
            "chat_gateway_queue_links_lost_total",
            "Connections to the durable queue that ended, by link: publish, consume.",
            ["link"],
            registry=registry,
        )
        self._transcript_batch = Histogram(
            "chat_gateway_transcript_batch_lines", "Lines a group commit.", registry=registry, buckets=_SIZES
        )
        self._transcript_seconds = Histogram(
            "chat_gateway_transcript_commit_seconds", "Time of their commit.", registry=registry, buckets=_FAST
        )
        self.transcripts_lost = Counter(
            "chat_gateway_transcripts_lost_total",
            "Echo sessions closed because their transcript could not be stored.",
            registry=registry,
        )
        self._upstream_ends = Counter(
            "chat_gateway_upstream_ends_total",
            "Proxied echo sessions that the upstream ended, by how: unreachable, too slow, silent, closed, broken.",
            ["end"],
            registry=registry,
        )
        self._loop_lag = Gauge(
            "chat_gateway_event_loop_lag_seconds", "How late the loop's last tick was.", registry=registry
        )

    def page(self, source: str) -> None:
        """A resume asked for a page of stored events; `source` is memory or store."""
        self._pages.labels(source).inc()

    def watch(
        self,
        connections: Callable[[], int],
        chats: Callable[[], int],
        ready: Callable[[], bool],
        kept: Callable[[], int],
    ) -> None:
        """Read these at every scrape."""
        for name, text, read in (
            ("chat_gateway_connections", "WebSockets open now.", connections),
            ("chat_gateway_chats", "Chats with subscribers on this node.", chats),
            ("chat_gateway_ready", "Whether /readyz answers 200.", ready),
            ("chat_gateway_replay_memory_bytes", "Recent events kept for resumes, about.", kept),
        ):
            Gauge(name, text, registry=self.registry).set_function(lambda read=read: float(read()))  # type: ignore[misc]

    def accepted(self, dialect: str) -> None:
        """A handshake succeeded."""
        self._connections.labels(dialect, "accepted").inc()

    def turned_away(self, dialect: str, reason: str) -> None:
        """A handshake was refused; `reason` is from a closed set."""
        self._connections.labels(dialect, reason).inc()

    def closed(self, code: int) -> None:
        """A socket closed; codes that clients make up count as one."""
        self._closes.labels(str(code) if code in _CLOSE_CODES else "other").inc()

    def handled(self, dialect: str, command: str, ack_s: float | None = None) -> None:
        """A command was carried out; `ack_s` if it was stored."""
        self._command(dialect, command, "ok").inc()
        if ack_s is not None:
            self._ack.observe(ack_s)

    def refused(self, dialect: str, command: str, code: str) -> None:
        """A command was refused with this error code."""
        self._command(dialect, command, code).inc()

    def _command(self, dialect: str, command: str, outcome: str) -> Counter:
        key = dialect, command, outcome
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = self._commands.labels(*key)  # `labels` costs more than all the rest
        return counter

    def committed(self, size: int, seconds: float) -> None:
        """A group commit of `size` events took so long."""
        self._batch_size.observe(size)
        self._batch_seconds.observe(seconds)

    def transcribed(self, lines: int, seconds: float) -> None:
        """A group commit of so many lines of transcripts took so long."""
        self._transcript_batch.observe(lines)
        self._transcript_seconds.observe(seconds)

    def upstream_ended(self, end: str) -> None:
        """The upstream of an echo session is no more; `end` is from a closed set."""
        self._upstream_ends.labels(end).inc()

    def broadcast(self, pushes: int, deliveries: int, size: int) -> None:
        """A chat's pushes of one turn of the loop went out."""
        self._pushes.inc(pushes)
        self._deliveries.inc(deliveries)
        self._bytes.inc(size)

    def gap(self, events: int) -> None:
        """A hole was found (0), or so many events were read for one."""
        if events == 0:
            self._gaps.inc()
        else:
            self._repaired.inc(events)

    def notices(self, kind: str, count: int) -> None:
        """So many sockets were told something of this kind, from a closed set."""
        self._notices.labels(kind).inc(count)

    def redis(self, event: str) -> None:
        """Something happened to a link to Redis; `event` is from a closed set."""
        self._redis.labels(event).inc()

    def watch_queue(self, unacked: Callable[[], int]) -> None:
        """There is a durable queue: read this at every scrape."""
        text = "Messages taken from the durable queue and not yet acknowledged."
        Gauge("chat_gateway_queue_unacked", text, registry=self.registry).set_function(lambda: float(unacked()))

    def queue_settled(self, outcome: str) -> None:
        """A message from the queue was stored or put aside; `outcome` is from a closed set."""
        self._queue_messages.labels(outcome).inc()

    def queue_link_lost(self, link: str) -> None:
        """A connection to the queue ended; `link` is publish or consume."""
        self._queue_links.labels(link).inc()

    def loop_lag(self, seconds: float) -> None:
        """The loop's tick was so late."""
        self._loop_lag.set(seconds)

    def exposition(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)


def _version() -> str:
    try:
        return metadata.version("chat-gateway")
    except metadata.PackageNotFoundError:
        return "unknown"
