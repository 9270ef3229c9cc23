"""Limits how often a user's typing state is published."""

import asyncio
from collections.abc import Callable

TYPING_INTERVAL_S = 2.0
"""Minimum time between two publications of a user's typing state (docs/protocol.md, "Limits")."""


class TypingThrottle:
    """Publishes a typing state at once, then at most every `TYPING_INTERVAL_S`; the last state is always published.

    `on_idle` is called after an interval without a change of the published state.
    """

    __slots__ = ("_latest", "_on_idle", "_publish", "_sent", "_timer")

    def __init__(self, publish: Callable[[bool], None], on_idle: Callable[[], None]) -> None:
        self._publish = publish
        self._on_idle = on_idle
        self._sent = False
        self._latest = False
        self._timer: asyncio.TimerHandle | None = None

    def change(self, is_typing: bool) -> None:
        """Record that the user started or stopped typing."""
        self._latest = is_typing
        if self._timer is None:
            self._send()

    def _send(self) -> None:
        self._publish(self._latest)
        self._sent = self._latest
        self._timer = asyncio.get_running_loop().call_later(TYPING_INTERVAL_S, self._on_interval)

    def _on_interval(self) -> None:
        self._timer = None
        if self._latest != self._sent:
            self._send()
        else:
            self._on_idle()

    def cancel(self) -> None:
        """Cancel the pending publication."""
        if self._timer is not None:
            self._timer.cancel()
