"""The way of an event: commit, publication, delivery; and what is read from the store where that way has holes."""

import time
from collections.abc import Callable, Sequence

from prometheus_client import Counter, Histogram

from gateway.messages import Push
from gateway.metrics.exposition import FAST, SIZES, SLOW, Registry
from storage.records import ChatEvent, EventKind


class DeliveryMetrics:
    """Told by the chat log, the hub, repair and the pages."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._batch_size = Histogram(
            "chat_gateway_commit_batch_events", "Events a group commit.", registry=registry, buckets=SIZES
        )
        self._batch_seconds = Histogram(
            "chat_gateway_commit_seconds", "Time of a group commit.", registry=registry, buckets=FAST
        )
        self._transcript_batch = Histogram(
            "chat_gateway_transcript_batch_lines",
            "Lines of echo transcripts a group commit.",
            registry=registry,
            buckets=SIZES,
        )
        self._transcript_seconds = Histogram(
            "chat_gateway_transcript_commit_seconds",
            "Time of a group commit of echo transcripts.",
            registry=registry,
            buckets=FAST,
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
        self._lag = Histogram(
            "chat_gateway_delivery_lag_seconds",
            "From a message's time in the store to the outboxes here, by the clocks of the store and of this host.",
            registry=registry,
            buckets=SLOW,
        )
        self._gaps = Counter(
            "chat_gateway_gaps_total", "Holes found in a chat's stream on this node.", registry=registry
        )
        self._repaired = Counter(
            "chat_gateway_gap_events_repaired_total", "Events read from the store to close holes.", registry=registry
        )
        pages = Counter(
            "chat_gateway_replay_pages_total",
            "Pages of stored events asked for by resumes, by where they came from: memory or store.",
            ["source"],
            registry=registry,
        )
        self._pages = {source: pages.labels(source) for source in ("memory", "store")}
        self.bad_publications = Counter(
            "chat_gateway_bad_publications_total", "Payloads from Redis that were no publications.", registry=registry
        )

    def watch(
        self, *, chats: Callable[[], int], gaps: Callable[[], int], kept: Callable[[], int], waiting: Callable[[], int]
    ) -> None:
        """Read these at every scrape."""
        for name, text, read in (
            ("chats", "Chats with subscribers on this node.", chats),
            ("gaps_unrepaired", "Chats with a hole that could not be read from the store yet.", gaps),
            ("replay_memory_bytes", "Recent events kept for resumes, about.", kept),
            ("commit_waiting_events", "Events that wait for the next group commit; 5,000 a pipeline at most.", waiting),
        ):
            self._registry.watch(f"chat_gateway_{name}", text, lambda read=read: float(read()))  # type: ignore[misc]

    def committed(self, size: int, seconds: float) -> None:
        """A group commit of `size` events took so long."""
        self._batch_size.observe(size)
        self._batch_seconds.observe(seconds)

    def transcribed(self, lines: int, seconds: float) -> None:
        """A group commit of so many lines of transcripts took so long."""
        self._transcript_batch.observe(lines)
        self._transcript_seconds.observe(seconds)

    def broadcast(self, pushes: Sequence[Push], deliveries: int, size: int) -> None:
        """A chat's pushes of one turn of the loop went out.

        The lag is taken from the store's own time, so that it includes what Redis lost and repair found. Edits and
        deletions bear the time of their message, and count not.
        """
        self._pushes.inc(len(pushes))
        self._deliveries.inc(deliveries)
        self._bytes.inc(size)
        now = time.time()
        for push in pushes:
            if isinstance(push, ChatEvent) and push.kind == EventKind.MESSAGE:
                self._lag.observe(max(0.0, now - push.created_at.timestamp()))

    def gap(self, events: int) -> None:
        """A hole was found (0), or so many events were read for one."""
        if events == 0:
            self._gaps.inc()
        else:
            self._repaired.inc(events)

    def page(self, source: str) -> None:
        """A resume asked for a page of stored events; `source` is memory or store."""
        self._pages[source].inc()
