"""Stores who comes and goes on this node, under a lease, where events tell it (`docs/webhooks.md`).

Invariant: who is present here is stored under the present lease, or waits for it. When the lease has ended, as in a
long outage of the database, all are stored under a new one; the rows of the old one are removed by any node.
"""

import itertools
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from itertools import islice
from typing import Final

from gateway.interfaces.client_registry import LastSeenStore, PresentUserStore
from storage.errors import StorageUnavailable

RENEW_S: Final = 5.0
GRACE_S: Final = 10.0
"""After an outage, and after its start, a node waits for others to store who is there before it reaps."""
USERS_A_STATEMENT: Final = 200
REAPS_A_TURN: Final = 10


class PresenceEvents:
    """`OnlineUsers` tells it who comes and goes, and calls `turn`. Only `leave` and `turn` await."""

    def __init__(
        self, store: PresentUserStore, last_seen: LastSeenStore, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._last_seen = last_seen
        self._now = now
        self._lease_id: int | None = None
        self._renewed = self._answers_since = now()
        self._numbers = itertools.count()
        self._arrived: dict[int, int] = {}
        """Users who are present and not stored yet, each with the number of that arrival."""

    def arrive(self, user_id: int) -> None:
        """The user is present here."""
        self._arrived[user_id] = next(self._numbers)

    def depart(self, user_id: int) -> None:
        """The user is no longer present here; `leave` will follow."""
        self._arrived.pop(user_id, None)

    def lapse(self) -> None:
        """Somebody is no longer present here, and `leave` will not follow."""
        self._lease_id = None

    async def leave(self, seen: Mapping[int, int]) -> None:
        """Store that these users have left, seen last at these times (Unix ms). Raises: StorageUnavailable."""
        if self._lease_id is None:
            await self._last_seen.write(seen)
        else:
            await self._store.leave(self._lease_id, seen)

    async def turn(self, present: Callable[[], Collection[int]]) -> None:
        """Store who has arrived, renew the lease, and remove who is stored by dead nodes. Called once in a second.

        `present` are all users who are present here. In an outage of the database the next turn goes on.
        """
        try:
            await self._hold(present)
            await self._enter()
        except StorageUnavailable:
            self._answers_since = self._now()
            return
        if self._now() - self._answers_since >= GRACE_S:
            with suppress(StorageUnavailable):
                await self._reap()

    async def _hold(self, present: Callable[[], Collection[int]]) -> None:
        if self._lease_id is not None and self._now() - self._renewed >= RENEW_S:
            if not await self._store.renew(self._lease_id):
                self._lease_id = None
            self._renewed = self._now()
        if self._lease_id is None:
            self._lease_id = await self._store.take_lease()
            self._renewed = self._now()
            for user_id in present():
                self.arrive(user_id)

    async def _enter(self) -> None:
        while self._lease_id is not None and (batch := dict(islice(self._arrived.items(), USERS_A_STATEMENT))):
            if not await self._store.enter(self._lease_id, list(batch)):
                self._lease_id = None  # the next turn takes another
            else:
                for user_id, number in batch.items():
                    if self._arrived.get(user_id) == number:
                        del self._arrived[user_id]

    async def _reap(self) -> None:
        for _ in range(REAPS_A_TURN):
            if not await self._store.reap():
                return
