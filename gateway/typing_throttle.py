"""How often a user's typing is passed on."""

import asyncio
from collections.abc import Callable

TYPING_INTERVAL_S = 2.0
"""A user's typing is passed on at most this often (protocol.md, seed 004)."""


class TypingThrottle:
    """Passes a user's typing on at once, then at most every `TYPING_INTERVAL_S`; the last state always gets through.

    `on_idle` is called when an interval has ended in which nothing came.
    """

    __slots__ = ("_latest", "_on_idle", "_publish", "_sent", "_timer")

    def __init__(self, publish: Callable[[bool], None], on_idle: Callable[[], None]) -> None:
        self._publish = publish
        self._on_idle = on_idle
        self._sent = False
        self._latest = False
        self._timer: asyncio.TimerHandle | None = None

    def change(self, is_typing: bool) -> None:
        """The user types, or stopped."""
        self._latest = is_typing
        if self._timer is None:
            self._pass_on()

    def _pass_on(self) -> None:
        self._publish(self._latest)
        self._sent = self._latest
        self._timer = asyncio.get_running_loop().call_later(TYPING_INTERVAL_S, self._on_interval)

    def _on_interval(self) -> None:
        self._timer = None
        if self._latest != self._sent:
            self._pass_on()
        else:
            self._on_idle()

    def cancel(self) -> None:
        """Pass on nothing more."""
        if self._timer is not None:
            self._timer.cancel()
