"""The metrics of delivery: commits, broadcasts, and reads of the store for gaps and resumes."""

import time
from collections.abc import Callable, Sequence

from prometheus_client import Gauge

from gateway.metrics.counters import CounterFamily, counter, histogram
from gateway.metrics.exposition import FAST, SIZES, SLOW, Registry
from gateway.protocol.pushes import Push
from storage.records import ChatEvent, EventKind


class DeliveryMetrics:
    """Called by the chat log, the hub, repair and the replay cache."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._batch_size = histogram(
            "chat_gateway_commit_batch_events", "Events per group commit.", registry=registry, buckets=SIZES
        )
        self._batch_seconds = histogram(
            "chat_gateway_commit_seconds", "Time of a group commit.", registry=registry, buckets=FAST
        )
        self._transcript_batch = histogram(
            "chat_gateway_transcript_batch_lines",
            "Lines of echo transcripts per group commit.",
            registry=registry,
            buckets=SIZES,
        )
        self._transcript_seconds = histogram(
            "chat_gateway_transcript_commit_seconds",
            "Time of a group commit of echo transcripts.",
            registry=registry,
            buckets=FAST,
        )
        self.transcript_bytes = Gauge(
            "chat_gateway_transcript_bytes",
            "Size of all echo transcripts, as this node last read it; the same on every node.",
            registry=registry,
        )
        self.transcript_lines_deleted = counter(
            "chat_gateway_transcript_lines_deleted_total",
            "Lines of echo transcripts that this node deleted because of their age or of the size of all.",
            registry=registry,
        )
        self.events_removed = counter(
            "chat_gateway_retention_removed_events_total",
            "Messages, edits, deletions and reactions that this node removed because of their age.",
            registry=registry,
        )
        self.retention_lag = Gauge(
            "chat_gateway_retention_lag_seconds",
            "Time since the oldest event of the chat from which this node removes was due to go; 0 between passes.",
            registry=registry,
        )
        self.retention_overdue = Gauge(
            "chat_gateway_retention_overdue_seconds",
            "Time since a pass of retention over all chats was due, while it has not ended; on every node.",
            registry=registry,
        )
        self.rows_removed = counter(
            "chat_gateway_removed_chat_rows_total",
            "Rows of removed chats that this node deleted.",
            registry=registry,
        )
        self._pushes = counter(
            "chat_gateway_broadcast_pushes_total", "Pushes to local subscribers, encoded once each.", registry=registry
        )
        self._deliveries = counter(
            "chat_gateway_broadcast_deliveries_total",
            "Pushes, each times its number of subscribers.",
            registry=registry,
        )
        self._bytes = counter(
            "chat_gateway_broadcast_bytes_total", "Bytes of frames passed to send queues.", registry=registry
        )
        self.broadcasts_behind = counter(
            "chat_gateway_broadcasts_behind_total",
            "Times 1 MiB waited to be written to the sockets of one chat, and was then written at once.",
            registry=registry,
        )
        self._lag = histogram(
            "chat_gateway_delivery_lag_seconds",
            "Time from a message's timestamp in the store to this node's send queues, by the clocks of both hosts.",
            registry=registry,
            buckets=SLOW,
        )
        self._gaps = counter(
            "chat_gateway_gaps_total", "Holes detected in a chat's stream on this node.", registry=registry
        )
        self._repaired = counter(
            "chat_gateway_gap_events_repaired_total", "Events read from the store to close holes.", registry=registry
        )
        pages = CounterFamily(
            "chat_gateway_replay_pages_total",
            "Pages of stored events that resumes read, by source: memory or store.",
            ["source"],
            registry=registry,
        )
        self._pages = {source: pages.labels(source) for source in ("memory", "store")}
        self.bad_publications = counter(
            "chat_gateway_bad_publications_total", "Invalid payloads received from Redis.", registry=registry
        )

    def watch(
        self, *, chats: Callable[[], int], gaps: Callable[[], int], kept: Callable[[], int], waiting: Callable[[], int]
    ) -> None:
        """Add gauges that call these functions at every scrape."""
        for name, text, read in (
            ("chats", "Chats with subscribers on this node.", chats),
            ("gaps_unrepaired", "Chats with a hole that could not be read from the store yet.", gaps),
            ("replay_memory_bytes", "Approximate size of the recent events kept for resumes.", kept),
            ("commit_waiting_events", "Events waiting for the next group commit; at most 5,000.", waiting),
        ):
            self._registry.watch(f"chat_gateway_{name}", text, lambda read=read: float(read()))  # type: ignore[misc]

    def committed(self, size: int, seconds: float) -> None:
        """Observe a group commit of `size` events."""
        self._batch_size.observe(size)
        self._batch_seconds.observe(seconds)

    def transcribed(self, lines: int, seconds: float) -> None:
        """Observe a group commit of transcript lines."""
        self._transcript_batch.observe(lines)
        self._transcript_seconds.observe(seconds)

    def broadcast(self, pushes: Sequence[Push], deliveries: int, size: int) -> None:
        """Count the pushes of a chat that were broadcast in one turn of the loop; `size` is in bytes.

        The lag is measured from the store's timestamp, so that it includes publications that Redis lost and repair
        found. Edits and deletions have no lag, since they bear the timestamp of their message.
        """
        self._pushes.inc(len(pushes))
        self._deliveries.inc(deliveries)
        self._bytes.inc(size)
        now = time.time()
        for push in pushes:
            if isinstance(push, ChatEvent) and push.kind == EventKind.MESSAGE:
                self._lag.observe(max(0.0, now - push.created_at.timestamp()))

    def gap(self, events: int) -> None:
        """Count a detected hole (0), or the number of events that were read to close one."""
        if events == 0:
            self._gaps.inc()
        else:
            self._repaired.inc(events)

    def page(self, source: str) -> None:
        """Count a page of stored events that a resume read; `source` is memory or store."""
        self._pages[source].inc()
