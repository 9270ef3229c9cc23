"""The metrics of the auth service, standalone or in a gateway."""

from collections.abc import Callable
from typing import Final

from gateway.metrics.counters import CounterFamily, counter, histogram
from gateway.metrics.exposition import FAST, Registry

LOGIN_OUTCOMES: Final = ("granted", "wrong", "otp_required", "banned", "limited", "overloaded", "unavailable")
PASSWORD_OUTCOMES: Final = ("changed", "reset", "wrong", "limited")
RESET_OUTCOMES: Final = ("sent", "failed", "unknown", "limited", "overloaded")
LIMITED_CALLS: Final = ("refresh", "logout", "guest_token")
REFRESH_OUTCOMES: Final = ("granted", "ended", "reused", "banned")


class AuthMetrics:
    """Called by the auth service."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        logins = CounterFamily(
            "chat_gateway_auth_logins_total",
            "Logins by outcome: " + ", ".join(LOGIN_OUTCOMES) + ".",
            ["outcome"],
            registry=registry,
        )
        self._logins = {outcome: logins.labels(outcome) for outcome in LOGIN_OUTCOMES}
        refreshes = CounterFamily(
            "chat_gateway_auth_refreshes_total",
            "Renewals of logins by outcome: " + ", ".join(REFRESH_OUTCOMES) + ". A reused refresh token was stolen.",
            ["outcome"],
            registry=registry,
        )
        self._refreshes = {outcome: refreshes.labels(outcome) for outcome in REFRESH_OUTCOMES}
        passwords = CounterFamily(
            "chat_gateway_auth_password_changes_total",
            "Changes of a password by outcome: " + ", ".join(PASSWORD_OUTCOMES) + ".",
            ["outcome"],
            registry=registry,
        )
        self._passwords = {outcome: passwords.labels(outcome) for outcome in PASSWORD_OUTCOMES}
        resets = CounterFamily(
            "chat_gateway_auth_password_resets_total",
            "Requests to reset a password by outcome: " + ", ".join(RESET_OUTCOMES) + ". `unknown` has no account.",
            ["outcome"],
            registry=registry,
        )
        self._resets = {outcome: resets.labels(outcome) for outcome in RESET_OUTCOMES}
        limited = CounterFamily(
            "chat_gateway_auth_calls_limited_total",
            "Calls refused because one network sent too many: " + ", ".join(LIMITED_CALLS) + ".",
            ["call"],
            registry=registry,
        )
        self._limited = {call: limited.labels(call) for call in LIMITED_CALLS}
        self.registered: Callable[[], None] = counter(
            "chat_gateway_auth_registrations_total", "Accounts created.", registry=registry
        ).inc
        self.registration_limited: Callable[[], None] = counter(
            "chat_gateway_auth_registrations_limited_total",
            "Registrations refused because one network sent too many.",
            registry=registry,
        ).inc
        self.code_limited: Callable[[], None] = counter(
            "chat_gateway_auth_codes_limited_total",
            "Codes of second factors that were not checked because the user had sent too many.",
            registry=registry,
        ).inc
        self.guest: Callable[[], None] = counter(
            "chat_gateway_auth_guest_tokens_total", "Guest tokens issued.", registry=registry
        ).inc
        self.hashed: Callable[[float], None] = histogram(
            "chat_gateway_auth_hash_seconds",
            "Time to hash or check a password, including the wait for a thread.",
            registry=registry,
            buckets=FAST,
        ).observe

    def watch(self, hashing: Callable[[], int]) -> None:
        """Add a gauge that calls `hashing` at every scrape."""
        text = "Passwords that are being hashed or waiting for a thread."
        self._registry.watch("chat_gateway_auth_hashing", text, lambda: float(hashing()))

    def refreshed(self, outcome: str) -> None:
        """Count a renewal; `outcome` is one of REFRESH_OUTCOMES."""
        self._refreshes[outcome].inc()

    def call_limited(self, call: str) -> None:
        """Count a call that was refused; `call` is one of LIMITED_CALLS."""
        self._limited[call].inc()

    def password(self, outcome: str) -> None:
        """Count a change of a password; `outcome` is one of PASSWORD_OUTCOMES."""
        self._passwords[outcome].inc()

    def reset(self, outcome: str) -> None:
        """Count a request to reset a password; `outcome` is one of RESET_OUTCOMES."""
        self._resets[outcome].inc()

    def login(self, outcome: str) -> None:
        """Count an attempt to log in; `outcome` is one of LOGIN_OUTCOMES."""
        self._logins[outcome].inc()
