"""Auth's own: in its own process, or in a gateway that serves its URLs."""

from collections.abc import Callable
from typing import Final

from prometheus_client import Counter, Histogram

from gateway.metrics.exposition import FAST, Registry

LOGIN_OUTCOMES: Final = ("granted", "wrong", "limited", "overloaded", "unavailable")


class AuthMetrics:
    """Told by auth's service."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        logins = Counter(
            "chat_gateway_auth_logins_total",
            "Logins by outcome: " + ", ".join(LOGIN_OUTCOMES) + ".",
            ["outcome"],
            registry=registry,
        )
        self._logins = {outcome: logins.labels(outcome) for outcome in LOGIN_OUTCOMES}
        self.registered: Callable[[], None] = Counter(
            "chat_gateway_auth_registrations_total", "Accounts made.", registry=registry
        ).inc
        self.guest: Callable[[], None] = Counter(
            "chat_gateway_auth_guest_tokens_total", "Guest tokens issued.", registry=registry
        ).inc
        self.hashed: Callable[[float], None] = Histogram(
            "chat_gateway_auth_hash_seconds",
            "From asking for a password to be hashed or checked to the answer, the wait for a thread included.",
            registry=registry,
            buckets=FAST,
        ).observe

    def watch(self, hashing: Callable[[], int]) -> None:
        """Read this at every scrape."""
        text = "Passwords that are hashed now or wait for it."
        self._registry.watch("chat_gateway_auth_hashing", text, lambda: float(hashing()))

    def login(self, outcome: str) -> None:
        """Somebody tried to log in; `outcome` is one of LOGIN_OUTCOMES."""
        self._logins[outcome].inc()
