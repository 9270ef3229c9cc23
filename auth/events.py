"""Callbacks from the auth service to its host process, for metrics. They are optional."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

LoginResult = Literal["granted", "wrong", "otp_required", "banned", "limited", "overloaded", "unavailable"]
PasswordResult = Literal["changed", "reset", "wrong", "limited"]
ResetResult = Literal["sent", "failed", "unknown", "limited", "overloaded"]
LimitedCall = Literal["refresh", "logout", "guest_token"]
RefreshResult = Literal["granted", "ended", "reused", "banned"]


@dataclass(frozen=True, slots=True)
class AuthEvents:
    """Each is called in the event loop and must not block. `hashed` gets the seconds that hashing a password took."""

    login: Callable[[LoginResult], None] = lambda _: None
    refreshed: Callable[[RefreshResult], None] = lambda _: None
    registered: Callable[[], None] = lambda: None
    registration_limited: Callable[[], None] = lambda: None
    guest: Callable[[], None] = lambda: None
    hashed: Callable[[float], None] = lambda _: None
    password: Callable[[PasswordResult], None] = lambda _: None
    code_limited: Callable[[], None] = lambda: None
    reset: Callable[[ResetResult], None] = lambda _: None
    call_limited: Callable[[LimitedCall], None] = lambda _: None


SILENT = AuthEvents()
