"""What clients do and get: sockets, commands, refusals."""

from collections.abc import Callable, Collection
from typing import Final, Protocol

from prometheus_client import Counter, Gauge, Histogram

from gateway.codes import Close, ErrorCode
from gateway.metrics.exposition import FAST, Registry

DIALECTS: Final = ("chat", "service", "support", "room", "echo", "public", "native")
"""The URL families, as their entrances are named."""
DRAINING: Final = "draining"
"""A handshake's outcome at a node that is leaving: the load balancer asks another one."""
_CLOSE_CODES: Final = frozenset({*Close, *range(1000, 1016)})


class Buffered(Protocol):
    """A socket's state, as far as metrics look at it."""

    @property
    def buffered(self) -> int:
        """Bytes that the kernel has not taken yet."""
        ...


class ClientMetrics:
    """Told by the edge and the sessions."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._commands_seen: dict[tuple[str, str, str], Counter] = {}
        self._acks: dict[str, Histogram] = {}
        self._answers: dict[str, Histogram] = {}
        self._connections = Gauge(
            "chat_gateway_connections", "WebSockets open now, by URL family.", ["dialect"], registry=registry
        )
        self._handshakes = Counter(
            "chat_gateway_handshakes_total",
            "WebSocket handshakes by outcome: accepted, draining, gone (the client left), or the refusal's code.",
            ["dialect", "outcome"],
            registry=registry,
        )
        for dialect in DIALECTS:
            self._connections.labels(dialect)
            for outcome in ("accepted", ErrorCode.UNAVAILABLE):
                self._handshakes.labels(dialect, outcome)
        self._closes = Counter(
            "chat_gateway_closes_total", "WebSockets closed, by close code.", ["code"], registry=registry
        )
        self._commands = Counter(
            "chat_gateway_commands_total",
            "Commands by dialect (http: over HTTP), type and outcome: ok, or the error's code.",
            ["dialect", "command", "outcome"],
            registry=registry,
        )
        self._ack = Histogram(
            "chat_gateway_ack_seconds",
            "From the turn of a message, edit or deletion to its acknowledgement, which follows its COMMIT.",
            ["dialect"],
            registry=registry,
            buckets=FAST,
        )
        self._answer = Histogram(
            "chat_gateway_answer_seconds",
            "From arrival to answer, of what waits but stores no event: history, presence, read marks, subscriptions.",
            ["dialect"],
            registry=registry,
            buckets=FAST,
        )
        self.slow_consumers = Counter(
            "chat_gateway_slow_consumers_total", "Clients closed because their outbox was full.", registry=registry
        )
        self.rate_limited = Counter(
            "chat_gateway_rate_limited_total", "Messages refused because the user's minute was full.", registry=registry
        )
        self._notices = Counter(
            "chat_gateway_notices_total",
            "What sockets of many chats were told apart from any chat, by kind.",
            ["kind"],
            registry=registry,
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

    def watch(self, clients: Collection[Buffered], seats: Callable[[], int]) -> None:
        """Read at every scrape what lies in the outboxes of these, and the seats (members in chats) held here."""

        def buffered() -> float:
            return sum(client.buffered for client in clients)

        def most() -> float:
            return max((client.buffered for client in clients), default=0)

        self._registry.watch("chat_gateway_outbox_bytes", "Bytes that clients have not taken yet.", buffered)
        self._registry.watch(
            "chat_gateway_outbox_largest_bytes", "Bytes that the client with the most has not taken yet.", most
        )
        self._registry.watch("chat_gateway_seats", "Members in chats, by a socket here.", lambda: float(seats()))

    def accepted(self, dialect: str) -> None:
        """A handshake succeeded, and the socket is open until `closed`."""
        self._handshakes.labels(dialect, "accepted").inc()
        self._connections.labels(dialect).inc()

    def turned_away(self, dialect: str, reason: str) -> None:
        """A handshake was refused; `reason` is from a closed set."""
        self._handshakes.labels(dialect, reason).inc()

    def closed(self, dialect: str, code: int) -> None:
        """An accepted socket closed; codes that clients make up count as one."""
        self._connections.labels(dialect).dec()
        self._closes.labels(str(code) if code in _CLOSE_CODES else "other").inc()

    def handled(self, dialect: str, command: str, ack_s: float | None = None) -> None:
        """A command was carried out; `ack_s` if it was stored."""
        self._command(dialect, command, "ok").inc()
        if ack_s is not None:
            _of_dialect(self._ack, self._acks, dialect).observe(ack_s)

    def answered(self, dialect: str, seconds: float) -> None:
        """The answer to a command that was `handled` had to be waited for this long."""
        _of_dialect(self._answer, self._answers, dialect).observe(seconds)

    def refused(self, dialect: str, command: str, code: str) -> None:
        """A command was refused with this error code."""
        self._command(dialect, command, code).inc()

    def _command(self, dialect: str, command: str, outcome: str) -> Counter:
        key = dialect, command, outcome
        counter = self._commands_seen.get(key)
        if counter is None:
            self._commands.labels(dialect, command, ErrorCode.UNAVAILABLE)  # what the first failure is counted from
            counter = self._commands_seen[key] = self._commands.labels(*key)
        return counter

    def notices(self, kind: str, count: int) -> None:
        """So many sockets were told something of this kind, from a closed set."""
        self._notices.labels(kind).inc(count)

    def upstream_ended(self, end: str) -> None:
        """The upstream of an echo session is no more; `end` is from a closed set."""
        self._upstream_ends.labels(end).inc()


def _of_dialect(histogram: Histogram, seen: dict[str, Histogram], dialect: str) -> Histogram:
    """The dialect's own, by a look into `seen`: to ask for a label costs more than to observe."""
    own = seen.get(dialect)
    if own is None:
        own = seen[dialect] = histogram.labels(dialect)
    return own
