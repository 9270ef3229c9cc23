"""How a setting is declared: a field of `gateway.config.settings.Settings` with its parser and its meaning."""

from collections.abc import Callable
from dataclasses import field
from typing import TypeVar

from gateway.config import parsers as values

_T = TypeVar("_T")


def setting(parse: Callable[[str], _T], default: _T, meaning: str, *, shown: str = "", secret: bool = False) -> _T:
    """A field with its parser; `shown` replaces the default in the README's table where the value is no help."""
    declared: _T = field(
        default=default,
        repr=not secret,
        metadata={"parse": parse, "meaning": meaning, "shown": shown, "secret": secret},
    )
    return declared


def per_minute(most: int, what: str, of_whom: str = "user (or address without one) and node") -> int:
    """A limit of a socket's commands (`gateway.sessions.command_limits`)."""
    meaning = f"{what} per socket in a minute, three times as many per {of_whom}; 0 = no limit"
    return setting(values.whole(0, 1_000_000), most, meaning, shown=f"{most}; no limit in development")


def http_per_minute(most: int, what: str) -> int:
    """A limit of HTTP callers (`gateway.http.call_limits`)."""
    meaning = f"{what} per user in a minute, over all replicas, and ten times as many per service key; 0 = no limit"
    return setting(values.whole(0, 1_000_000), most, meaning, shown=f"{most:,}; no limit in development")
