"""When to connect again: after a random delay that grows, or when the gateway says so."""

import json
import random

from websockets.http11 import Response

FIRST_S = 0.5
LONGEST_S = 20.0
STABLE_S = 5.0
"""A connection that lasted this long starts the delays anew."""
UNAUTHORIZED = 4401
_FORBIDDEN = 4403
_NEVER = range(4400, 5000)
_BROKEN = frozenset({1002, 1007, 1009})
"""This side broke the protocol: it would do so again."""


class Delays:
    """The delays of one client: full jitter, below 0.5 s at first and below 20 s in the end."""

    def __init__(self) -> None:
        self._attempt = 0

    def start_anew(self) -> None:
        """The connection was stable."""
        self._attempt = 0

    def next_s(self, hint_s: float | None = None) -> float:
        """The next delay; `hint_s` is what the gateway asked for."""
        most = min(LONGEST_S, FIRST_S * 2**self._attempt)
        self._attempt = min(self._attempt + 1, 10)
        return hint_s if hint_s is not None else random.uniform(0, most)  # noqa: S311 - spreads load


def may_reconnect(code: int) -> bool:
    """Whether the close code allows it (docs/protocol.md, "Close codes")."""
    return code not in _NEVER and code not in _BROKEN


def hint_in(reason: str) -> float | None:
    """`retry_after_ms` of a close reason, in seconds."""
    try:
        hint = json.loads(reason)["retry_after_ms"]
    except (ValueError, KeyError, TypeError):
        return None
    return hint / 1000 if isinstance(hint, int | float) and 0 <= hint <= 600_000 else None


def rejection(response: Response) -> tuple[int, str, float | None]:
    """The close code, reason and delay that a rejected handshake stands for."""
    after = response.headers.get("Retry-After", "")
    hint_s = float(after) if after.isdecimal() else None
    code = {400: UNAUTHORIZED, 401: UNAUTHORIZED, 403: _FORBIDDEN, 404: _FORBIDDEN}.get(response.status_code, 1006)
    return code, f"HTTP {response.status_code}", hint_s
