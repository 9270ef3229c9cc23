"""Keeps names up to date that this node holds in memory: those of sockets' users, and of senders in the replay cache.

A name is the database's; sockets and pages hold copies. Every INTERVAL_S a node reads which names changed since, so
that a change is seen on every node within INTERVAL_S and a read. A change may commit later than its time says, on a
clock that is behind: the last OVERLAP_MS are read again.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol

from gateway.interfaces.session import OpenSession
from storage.errors import StorageUnavailable
from storage.records import Person

INTERVAL_S: Final = 5.0
OVERLAP_MS: Final = 60_000
PAGE: Final = 500
PAUSE_S: Final = 0.1
"""Between two pages of changes."""

logger = logging.getLogger("gateway.sessions")


class NameStore(Protocol):
    """Implemented by `storage.repositories.profiles`. Every method raises StorageUnavailable."""

    async def changed_since(self, moment: int, user_id: int, limit: int) -> list[tuple[int, Person]]:
        """People whose names changed after this moment (Unix milliseconds) and user, with the moments, in order."""
        ...


class PeopleNames:
    """Follows the names of users. `on_renamed` is called with the ids of users whose names changed."""

    def __init__(
        self,
        store: NameStore,
        sessions: Collection[OpenSession],
        on_renamed: Callable[[Collection[int]], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._on_renamed = on_renamed
        self._since = int(now() * 1000) - OVERLAP_MS
        self._seen: dict[int, int] = {}
        """By user: the latest change that was applied, of those within OVERLAP_MS."""

    async def run(self) -> None:
        """Read the changes every INTERVAL_S until cancelled."""
        while True:
            await asyncio.sleep(random.uniform(0.8, 1.0) * INTERVAL_S)  # noqa: S311 - spreads the nodes
            try:
                await self.read()
            except StorageUnavailable:
                logger.warning("names_unread")

    async def read(self) -> None:
        """Apply what changed since the last call.

        Raises: StorageUnavailable.
        """
        moment, user_id = self._since, 0
        while True:
            changes = await self._store.changed_since(moment, user_id, PAGE)
            self._apply(changes)
            if len(changes) < PAGE:
                break
            moment, user_id = changes[-1][0], changes[-1][1].id
            await asyncio.sleep(PAUSE_S)
        latest = changes[-1][0] if changes else moment
        self._since = max(self._since, latest - OVERLAP_MS)
        self._seen = {user_id: moment for user_id, moment in self._seen.items() if moment >= self._since}

    def _apply(self, changes: Sequence[tuple[int, Person]]) -> None:
        renamed = {person.id: person for moment, person in changes if self._seen.get(person.id) != moment}
        if not renamed:
            return
        self._seen |= {person.id: moment for moment, person in changes}
        for session in list(self._sessions):
            user_id = session.credential.user_id
            if user_id is not None and user_id in renamed:
                session.rename(renamed[user_id])
        self._on_renamed(renamed.keys())
