"""Graceful shutdown (invariant 8): not ready, still accepting for a while, then all sessions are closed in batches.

Started by our own SIGTERM handler, because uvicorn closes every socket at once before its lifespan shutdown.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Collection

import orjson

from gateway.interfaces.session import OpenSession
from gateway.protocol.codes import Close, Disconnect

logger = logging.getLogger("gateway.drain")

BATCHES = 20
CLOSING_SHARE = 0.6
"""The share of the drain's time in which the batches are closed; the rest is for their closing handshakes."""
RETURN_MS_PER_SESSION = 5
MIN_RETURN_MS = 200
MAX_RETURN_MS = 15_000


class Drain:
    """Closes this node's sessions with a reconnect hint, once.

    `sessions` is the live collection, so sessions that connect during the delay are closed too. `on_closing(within_s)`
    is called before the first close, with the longest reconnect delay that the clients will get, in seconds.
    """

    def __init__(
        self,
        sessions: Collection[OpenSession],
        *,
        delay_s: float,
        drain_s: float,
        on_closing: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._sessions = sessions
        self._on_closing = on_closing
        self._delay_s = delay_s
        self._drain_s = drain_s
        self._hurry = asyncio.Event()
        self.is_closing = False
        """Whether new sockets are rejected, and those whose admission began before are closed at once, by `close`."""
        self.return_s = 0.0
        """The longest reconnect delay that closed clients get, in seconds."""

    def hurry(self) -> None:
        """Skip all remaining waits, on a second signal."""
        self._hurry.set()

    def close(self, session: OpenSession) -> None:
        """Close this session, with a reconnect delay of its own."""
        retry_after_ms = random.randrange(round(1000 * self.return_s))  # noqa: S311 - spreads load, guards nothing
        session.close(Disconnect(Close.DRAIN, orjson.dumps({"retry_after_ms": retry_after_ms}).decode()))

    async def run(self) -> None:
        """Drain; returns once no session is left, or after at most delay_s + drain_s."""
        await self._wait(self._delay_s)
        self.is_closing = True
        count = len(self._sessions)
        logger.info("drain_started", extra={"fields": {"sessions": count}})
        deadline = asyncio.get_running_loop().time() + self._drain_s
        await self._close_all(count)
        while self._sessions and asyncio.get_running_loop().time() < deadline and not self._hurry.is_set():
            await self._wait(0.02)
        logger.info("drain_ended", extra={"fields": {"sessions_left": len(self._sessions)}})

    async def _close_all(self, count: int) -> None:
        window_ms = min(MAX_RETURN_MS, MIN_RETURN_MS + RETURN_MS_PER_SESSION * count)
        self.return_s = window_ms / 1000
        self._on_closing(self.return_s)
        sessions = list(self._sessions)
        size = max(1, -(-len(sessions) // BATCHES))
        pause_s = 0 if count <= BATCHES else self._drain_s * CLOSING_SHARE / BATCHES
        for start in range(0, len(sessions), size):
            for session in sessions[start : start + size]:
                self.close(session)
            await self._wait(pause_s)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        except TimeoutError:
            pass
