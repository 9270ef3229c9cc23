"""The metrics of events out: deliveries, failures, and what waits, by endpoint."""

from prometheus_client import Gauge

from gateway.metrics.counters import CounterFamily
from gateway.metrics.exposition import Registry
from storage.outbox_records import Backlog


class WebhookMetrics:
    """`of` has the metrics of one endpoint; endpoints are named in the settings, at most 17."""

    def __init__(self, registry: Registry) -> None:
        def counter(name: str, text: str, *labels: str) -> CounterFamily:
            return CounterFamily(f"chat_gateway_{name}", text, ["endpoint", *labels], registry=registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"chat_gateway_{name}", f"{text}; the same on every node.", ["endpoint"], registry=registry)

        self.delivered = counter("webhook_events_delivered_total", "Events that an endpoint has taken from this node.")
        self.failures = counter(
            "webhook_failures_total", "Deliveries that an endpoint did not take, by reason.", "reason"
        )
        self.given_up = counter("webhook_events_given_up_total", "Events that this node made dead letters.")
        self.lost = counter(
            "webhook_events_lost_total", "Events that were removed from the log before an endpoint took them; at most."
        )
        self.waiting = gauge("webhook_events_waiting", "Events that wait for an endpoint")
        self.chats = gauge("webhook_chats_waiting", "Chats and users with events that wait for an endpoint")
        self.failing = gauge("webhook_chats_failing", "Chats and users whose last delivery has failed")
        self.dead = gauge("webhook_dead_letters", "Events whose delivery was given up, until they are sent again")
        self.removed = Gauge(
            "chat_gateway_webhooks_removed",
            "Endpoints that are no longer set up, and of which the outbox still has something; the same on every node.",
            registry=registry,
        )
        self.lag = gauge("webhook_lag_seconds", "Age of the oldest event that waits for an endpoint")

    def of(self, endpoint: str) -> "EndpointMetrics":
        """The metrics of this endpoint."""
        return EndpointMetrics(self, endpoint)


class EndpointMetrics:
    """Implements `gateway.webhooks.delivery.DeliveryEvents`."""

    def __init__(self, metrics: WebhookMetrics, endpoint: str) -> None:
        self._metrics = metrics
        self._endpoint = endpoint
        self._delivered = metrics.delivered.labels(endpoint)
        self._given_up = metrics.given_up.labels(endpoint)
        self._lost = metrics.lost.labels(endpoint)

    def delivered(self, count: int) -> None:
        """Count events that were taken."""
        self._delivered.inc(count)

    def failed(self, reason: str) -> None:
        """Count a delivery that was not taken."""
        self._metrics.failures.labels(self._endpoint, _class_of(reason)).inc()

    def given_up(self, count: int) -> None:
        """Count events that became dead letters."""
        self._given_up.inc(count)

    def lost(self, count: int) -> None:
        """Count events that were removed before they could be sent."""
        self._lost.inc(count)

    def waits(self, backlog: Backlog) -> None:
        """Set what waits, as this node has last read it."""
        for gauge, value in (
            (self._metrics.waiting, backlog.events),
            (self._metrics.chats, backlog.streams),
            (self._metrics.failing, backlog.failing),
            (self._metrics.dead, backlog.dead),
            (self._metrics.lag, backlog.lag_s),
        ):
            gauge.labels(self._endpoint).set(value)


def _class_of(reason: str) -> str:
    """One of a few words, whatever the endpoint answers."""
    if reason.startswith("status "):
        return f"{reason[7]}xx"
    if "imeout" in reason:
        return "timeout"
    return reason.replace(" ", "_") if reason in ("private address", "unresolved", "unavailable") else "connection"
