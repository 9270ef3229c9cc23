"""The metrics of clients: sockets, commands and rejections."""

from collections.abc import Callable, Collection
from typing import Final

from prometheus_client import Gauge

from gateway.interfaces.session import OpenSession
from gateway.metrics.counters import Counter, CounterFamily, HistogramFamily, counter
from gateway.metrics.exposition import FAST, Registry
from gateway.protocol.codes import Close, ErrorCode
from storage.records import Quota

DIALECTS: Final = ("chat", "service", "support", "room", "echo", "public", "native", "sse")
"""The URL families, by the names of their endpoints."""
DRAINING: Final = "draining"
"""The outcome of a handshake at a draining node: the load balancer then tries another one."""
_CLOSE_CODES: Final = frozenset({*Close, *range(1000, 1016)})


class ClientMetrics:
    """Called by the endpoints and the sessions."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._commands_seen: dict[tuple[str, str, str], Counter] = {}
        self._connections = Gauge(
            "chat_gateway_connections",
            "WebSockets and event streams open now, by URL family.",
            ["dialect"],
            registry=registry,
        )
        self._handshakes = CounterFamily(
            "chat_gateway_handshakes_total",
            "WebSocket handshakes by outcome: accepted, draining, gone (the client left), or the rejection's code.",
            ["dialect", "outcome"],
            registry=registry,
        )
        for dialect in DIALECTS:
            self._connections.labels(dialect)
            for outcome in ("accepted", ErrorCode.UNAVAILABLE):
                self._handshakes.labels(dialect, outcome)
        self._handshakes_limited = CounterFamily(
            "chat_gateway_handshakes_limited_total",
            "WebSocket handshakes rejected with `too_many_handshakes`, by whose limit: address or user.",
            ["by"],
            registry=registry,
        )
        for by in ("address", "user"):
            self._handshakes_limited.labels(by)
        self._closes = CounterFamily(
            "chat_gateway_closes_total", "WebSockets closed, by close code.", ["code"], registry=registry
        )
        self._commands = CounterFamily(
            "chat_gateway_commands_total",
            "Commands by dialect (http: over HTTP), type and outcome: ok, or the error's code.",
            ["dialect", "command", "outcome"],
            registry=registry,
        )
        self._ack = HistogramFamily(
            "chat_gateway_ack_seconds",
            "Time from the start of handling a message, edit, deletion or reaction to its response, after its COMMIT.",
            ["dialect"],
            registry=registry,
            buckets=FAST,
        )
        self._answer = HistogramFamily(
            "chat_gateway_answer_seconds",
            "Time from arrival to response of commands that wait, but store no event: history, presence, read marks, "
            "subscriptions.",
            ["dialect"],
            registry=registry,
            buckets=FAST,
        )
        self.slow_consumers = counter(
            "chat_gateway_slow_consumers_total", "Clients closed because their send queue was full.", registry=registry
        )
        self.input_slowed = counter(
            "chat_gateway_input_slowed_total",
            "Times that a socket was not read for 0.1 s because it sent more than its rate.",
            registry=registry,
        )
        self.floods = counter(
            "chat_gateway_floods_total",
            "Sockets closed with 4429 because they sent more than their rate for 10 s.",
            registry=registry,
        )
        self.rate_limited = counter(
            "chat_gateway_rate_limited_total", "Messages rejected by the user's limit per minute.", registry=registry
        )
        self._notices = CounterFamily(
            "chat_gateway_notices_total",
            "Notifications outside of any chat, sent to sockets of the native protocol, by kind.",
            ["kind"],
            registry=registry,
        )
        self.transcripts_lost = counter(
            "chat_gateway_transcripts_lost_total",
            "Echo sessions closed because their transcript could not be stored.",
            registry=registry,
        )
        self.strangers_limited = counter(
            "chat_gateway_strangers_limited_total",
            "Calls rejected because a user named too many strangers as members of chats.",
            registry=registry,
        )
        self.refusals_slowed = counter(
            "chat_gateway_refusals_slowed_total",
            "Refused requests and handshakes whose callers did not wait as they were told, and get the response later.",
            registry=registry,
        )
        self._http_limited = CounterFamily(
            "chat_gateway_http_limited_total",
            "HTTP requests rejected by a limit per minute, by limit (requests, lists, chats, members) and whose it is "
            "(user, service, address).",
            ["limit", "caller"],
            registry=registry,
        )
        for limit in ("requests", "lists", "chats", "members"):
            self._http_limited.labels(limit, "user")
        self._quota_rejections = CounterFamily(
            "chat_gateway_quota_rejections_total",
            "What was not stored because of a limit on what one user can store, by limit.",
            ["quota"],
            registry=registry,
        )
        for quota in Quota:
            self._quota_rejections.labels(quota)
        self._service_calls = CounterFamily(
            "chat_gateway_service_calls_total",
            "Calls with a valid service key, by the key's name and outcome: ok, or forbidden if it lacks the scope.",
            ["service", "outcome"],
            registry=registry,
        )
        self._upstream_ends = CounterFamily(
            "chat_gateway_upstream_ends_total",
            "Proxied echo sessions that the upstream ended, by cause: unreachable, too slow, silent, closed, broken.",
            ["end"],
            registry=registry,
        )

    def watch(self, clients: Collection[OpenSession], seats: Callable[[], int]) -> None:
        """Add gauges that read at every scrape the send queues of these clients and the number of this node's seats."""

        def buffered() -> float:
            return sum(client.buffered for client in clients)

        def most() -> float:
            return max((client.buffered for client in clients), default=0)

        self._registry.watch("chat_gateway_outbox_bytes", "Bytes in all send queues.", buffered)
        self._registry.watch("chat_gateway_outbox_largest_bytes", "Bytes in the largest send queue.", most)
        self._registry.watch(
            "chat_gateway_seats", "Members present in chats by a socket on this node.", lambda: float(seats())
        )

    def accepted(self, dialect: str) -> None:
        """Count a successful handshake; the socket is open until `closed` is called."""
        self._handshakes.labels(dialect, "accepted").inc()
        self._connections.labels(dialect).inc()

    def turned_away(self, dialect: str, reason: str) -> None:
        """Count a rejected handshake; `reason` is from a closed set."""
        self._handshakes.labels(dialect, reason).inc()

    def handshake_limited(self, by: str) -> None:
        """Count a handshake beyond the rate of its `address` or `user`."""
        self._handshakes_limited.labels(by).inc()

    def closed(self, dialect: str, code: int) -> None:
        """Count a close of an accepted socket; all undefined codes of clients count as `other`."""
        self._connections.labels(dialect).dec()
        self._closes.labels(str(code) if code in _CLOSE_CODES else "other").inc()

    def handled(self, dialect: str, command: str, ack_s: float | None = None) -> None:
        """Count a successful command; `ack_s` is the time to its acknowledgement, if it was stored."""
        self._command(dialect, command, "ok").inc()
        if ack_s is not None:
            self._ack.labels(dialect).observe(ack_s)

    def answered(self, dialect: str, seconds: float) -> None:
        """Observe the response time of a command that was counted by `handled`."""
        self._answer.labels(dialect).observe(seconds)

    def refused(self, dialect: str, command: str, code: str) -> None:
        """Count a command that was rejected with this error code."""
        self._command(dialect, command, code).inc()

    def _command(self, dialect: str, command: str, outcome: str) -> Counter:
        key = dialect, command, outcome
        counter = self._commands_seen.get(key)
        if counter is None:
            self._commands.labels(dialect, command, ErrorCode.UNAVAILABLE)  # at 0, for Prometheus' `increase`
            counter = self._commands_seen[key] = self._commands.labels(*key)
        return counter

    def notices(self, kind: str, count: int) -> None:
        """Count notifications that were sent to `count` sockets; `kind` is from a closed set."""
        self._notices.labels(kind).inc(count)

    def service_called(self, service: str, is_allowed: bool) -> None:
        """Count a call with a valid key; `service` is a name in SERVICE_KEYS."""
        self._service_calls.labels(service, "ok" if is_allowed else ErrorCode.FORBIDDEN).inc()

    def http_limited(self, limit: str, caller: str) -> None:
        """Count an HTTP request beyond a limit per minute; both labels are from closed sets."""
        self._http_limited.labels(limit, caller).inc()

    def quota_exceeded(self, quota: Quota) -> None:
        """Count what was not stored because of this limit."""
        self._quota_rejections.labels(quota).inc()

    def upstream_ended(self, end: str) -> None:
        """Count an echo session that its upstream ended; `end` is from a closed set."""
        self._upstream_ends.labels(end).inc()
