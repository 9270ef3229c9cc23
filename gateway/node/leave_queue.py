"""Releases seats: at once, or after a delay when the client is likely to reconnect within seconds.

Invariants: one background task releases all seats, however many end at the same time. The queue is bounded; seats
beyond the bound are handed to `Presence.give_up`. A lingering seat blocks no one, not even its own user
(`SECOND_CONNECTION=reject`).
"""

import asyncio
from collections import deque
from collections.abc import Callable

from gateway.errors import RedisUnavailable
from gateway.interfaces.presence import Left, Presence, Seat

LINGER_S = 5.0
"""How long a user stays present after an abnormal close, so that a reconnect causes no presence pushes."""
MAX_WAITING = 200_000
"""More than the seats of a node whose sockets all close; those beyond it may cost the node its lease (`reconciler`)."""
BATCH = 100
"""Seats in one round trip to Redis: more would hold the event loop for longer than 5 ms."""


class LeaveQueue:
    """Seats to release; `on_left(seat, left)` is called for each released seat. `run` is the owner task."""

    def __init__(self, presence: Presence, on_left: Callable[[Seat, Left], None]) -> None:
        self._presence = presence
        self._on_left = on_left
        self._due: deque[tuple[Seat, bool]] = deque()
        """Each seat with True if it is to be released, False if it is to be loosened."""
        self._lingering: deque[tuple[float, Seat]] = deque()
        """Each seat with the loop time at which it is released, in ascending order."""
        self._linger_s = LINGER_S
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due) + len(self._lingering)

    def expect_back(self, within_s: float) -> None:
        """Extend the delay by the reconnect time that closed clients are given from now on."""
        self._linger_s = LINGER_S + within_s  # never shortened, so that `_lingering` stays sorted

    def leave(self, seat: Seat) -> None:
        """Queue the seat for release now; never blocks."""
        if self._has_room(seat):
            self._due.append((seat, True))
            self._wake.set()

    def linger(self, seat: Seat) -> None:
        """Queue the seat for release after the delay; never blocks. An exclusive seat is loosened at once."""
        if not self._has_room(seat):
            return
        if seat.exclusive:
            self._due.append((seat, False))
        self._lingering.append((asyncio.get_running_loop().time() + self._linger_s, seat))
        self._wake.set()

    def _has_room(self, seat: Seat) -> bool:
        if len(self) < MAX_WAITING:
            return True
        self._presence.give_up(seat)
        return False

    async def run(self) -> None:
        """Release seats that are due, until cancelled."""
        while True:
            self._wake.clear()
            self._queue_expired()
            if self._due:
                batch = [self._due.popleft() for _ in range(min(BATCH, len(self._due)))]
                await asyncio.gather(*(self._settle(seat, must_release) for seat, must_release in batch))
                continue
            try:
                async with asyncio.timeout_at(self._lingering[0][0] if self._lingering else None):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _queue_expired(self) -> None:
        now = asyncio.get_running_loop().time()
        while len(self._due) < BATCH and self._lingering and self._lingering[0][0] <= now:
            self._due.append((self._lingering.popleft()[1], True))

    async def _settle(self, seat: Seat, must_release: bool) -> None:
        if not must_release:
            await self._presence.loosen(seat)
            return
        try:
            left = await self._presence.leave(seat)
        except RedisUnavailable:
            return  # presence itself clears the seat when Redis is back
        self._on_left(seat, left)
