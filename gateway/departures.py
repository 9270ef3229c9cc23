"""Seats that end: given back at once, or a little later where the client is likely to be back in seconds.

Invariants: one task gives back all of them, however many end in one moment; what waits here is bounded, and beyond that
presence gives it back by itself; a lingering seat keeps nobody out, not even its own user (`SECOND_CONNECTION=reject`).
"""

import asyncio
from collections import deque
from collections.abc import Callable

from gateway.errors import RedisUnavailable
from gateway.presence import Left, Presence, Seat

LINGER_S = 5.0
"""How long after an abnormal end a user still counts as present, so that a reconnect does not flap."""
MAX_WAITING = 50_000
BATCH = 200


class Departures:
    """`on_left(seat, left)` hears of every seat that was given back here. `run` is the owner task."""

    def __init__(self, presence: Presence, on_left: Callable[[Seat, Left], None]) -> None:
        self._presence = presence
        self._on_left = on_left
        self._due: deque[tuple[Seat, bool]] = deque()
        """Each with whether it is to be given back, or to be loosened."""
        self._lingering: deque[tuple[float, Seat]] = deque()
        """By when each is due."""
        self._linger_s = LINGER_S
        self._stirred = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due) + len(self._lingering)

    def expect_back(self, within_s: float) -> None:
        """From now on clients are told to come back within this time: their seats linger for as much longer."""
        self._linger_s = LINGER_S + within_s  # never shorter than it was, so that `_lingering` stays in order

    def leave(self, seat: Seat) -> None:
        """Give the seat back now; never blocks."""
        if self._has_room(seat):
            self._due.append((seat, True))
            self._stirred.set()

    def linger(self, seat: Seat) -> None:
        """Give it back a little later; never blocks."""
        if not self._has_room(seat):
            return
        if seat.exclusive:
            self._due.append((seat, False))
        self._lingering.append((asyncio.get_running_loop().time() + self._linger_s, seat))
        self._stirred.set()

    def _has_room(self, seat: Seat) -> bool:
        if len(self) < MAX_WAITING:
            return True
        self._presence.give_up(seat)
        return False

    async def run(self) -> None:
        """Give back, for ever, what is due."""
        while True:
            self._stirred.clear()
            self._look_who_is_due()
            if self._due:
                batch = [self._due.popleft() for _ in range(min(BATCH, len(self._due)))]
                await asyncio.gather(*(self._settle(seat, is_over) for seat, is_over in batch))
                continue
            try:
                async with asyncio.timeout_at(self._lingering[0][0] if self._lingering else None):
                    await self._stirred.wait()
            except TimeoutError:
                pass

    def _look_who_is_due(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._lingering and self._lingering[0][0] <= now:
            self._due.append((self._lingering.popleft()[1], True))

    async def _settle(self, seat: Seat, is_over: bool) -> None:
        if not is_over:
            await self._presence.loosen(seat)
            return
        try:
            left = await self._presence.leave(seat)
        except RedisUnavailable:
            return  # presence itself clears the seat when Redis is back
        self._on_left(seat, left)
