"""The users with a socket on this node, and who is online on any.

A user whose last socket has closed counts as online for LINGER_S more, so that a reconnect is no absence; then this
node stores when the socket closed. Users of a dead node are stored by the node that sweeps it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from itertools import islice
from math import inf
from typing import Final

from gateway.interfaces.client_registry import ClientRegistry, LastSeenStore
from gateway.interfaces.session import LocalClient
from gateway.node.online.presence_events import PresenceEvents
from gateway.node.online.presence_watch import PresenceWatch, state_of
from gateway.protocol.control import PresenceChanged, encode
from gateway.protocol.replies import UserPresence
from gateway.turns import portions
from storage.errors import StorageUnavailable

LINGER_S: Final = 5.0
INTERVAL_S: Final = 1.0
USERS_A_STATEMENT: Final = 500
USERS_A_MESSAGE: Final = 1000
MAX_WAITING: Final = 50_000
"""Users whose absence is not stored yet; of more, as in a long outage of the database, nothing is stored."""


class OnlineUsers:
    """`run` is its owner task. `arrive`, `depart` and `gone` never wait."""

    def __init__(
        self,
        registry: ClientRegistry,
        last_seen: LastSeenStore,
        announce: Callable[[bytes], None] = lambda _: None,
        tell: Callable[[Collection[LocalClient], UserPresence], None] = lambda *_: None,
        now: Callable[[], float] = time.time,
        events: PresenceEvents | None = None,
    ) -> None:
        """`announce` tells all nodes whose presence has changed, at most once in INTERVAL_S.

        `events` stores who comes and goes, where events tell it.
        """
        self.watch = PresenceWatch(registry, last_seen, tell)
        """The sockets that are told when users come and go, by `tell`."""
        self._announce = announce
        self._changed: dict[int, None] = {}
        self._registry = registry
        self._last_seen = last_seen
        self._now = now
        self._events = events
        self._linger_s = LINGER_S
        self._sockets: dict[int, int] = {}
        """The number of sockets, by user."""
        self._left: dict[int, float] = {}
        """When the last socket closed (Unix time), of users who still count as online."""
        self._unstored: dict[int, float] = {}
        """The same of users whose absence is not stored yet."""

    def arrive(self, user_id: int) -> None:
        """A socket of the user has opened."""
        count = self._sockets.get(user_id, 0)
        self._sockets[user_id] = count + 1
        if count == 0 and self._left.pop(user_id, None) is None:
            self._registry.enter(user_id)
            self._changed[user_id] = None
            if self._events is not None:
                self._events.arrive(user_id)

    def depart(self, user_id: int) -> None:
        """A socket of the user has closed."""
        count = self._sockets.get(user_id, 0) - 1
        if count > 0:
            self._sockets[user_id] = count
        elif self._sockets.pop(user_id, None) is not None:
            self._leave(user_id)

    def expect_back(self, within_s: float) -> None:
        """Let users who have left count as online for longer, as their clients will take so long to come back."""
        self._linger_s = LINGER_S + within_s

    def gone(self, user_id: int) -> None:
        """The user's node is dead."""
        if user_id not in self._sockets and user_id not in self._left:
            self._leave(user_id)

    def _leave(self, user_id: int) -> None:
        if len(self._left) < MAX_WAITING:
            self._left[user_id] = self._now()
        else:
            self._registry.leave(user_id)
            if self._events is not None:
                self._events.depart(user_id)
                self._events.lapse()

    async def states(self, user_ids: Sequence[int], viewer_id: int | None) -> list[UserPresence]:
        """The presence of each of these users, as far as the viewer may know; None: a service.

        Others are offline, and were never seen.
        Raises: StorageUnavailable, RedisUnavailable.
        """
        return (await self.look(user_ids, viewer_id))[0]

    async def look(
        self, user_ids: Sequence[int], viewer_id: int | None
    ) -> tuple[list[UserPresence], list[UserPresence]]:
        """The same, and those of them of which the viewer may know, once each.

        Raises: StorageUnavailable, RedisUnavailable.
        """
        seen = await self._last_seen.of(user_ids, viewer_id)
        online = await self._registry.online(sorted(seen))
        states = [state_of(user_id, seen.get(user_id), is_online=user_id in online) for user_id in user_ids]
        return states, list({state.user_id: state for state in states if state.user_id in seen}.values())

    async def run(self) -> None:
        """End the presence of those who have left, and store when they did, until cancelled."""
        try:
            while True:
                await asyncio.sleep(INTERVAL_S)
                await self._end(self._now() - self._linger_s)
                await self._store(self._last_seen.write if self._events is None else self._events.leave)
                if self._events is not None:
                    await self._events.turn(lambda: [*self._sockets, *self._left])
                self._announce_changes()
                await self.watch.turn()
        finally:
            await self.flush()

    def _announce_changes(self) -> None:
        changed, self._changed = list(self._changed), {}
        for start in range(0, len(changed), USERS_A_MESSAGE):
            self._announce(encode(PresenceChanged(changed[start : start + USERS_A_MESSAGE])))

    async def flush(self) -> None:
        """Do so at once for everyone who has left, as this node stops.

        Events wait for the end of this node's lease, as clients come back elsewhere.
        """
        await self._end(self._now())
        await self._store(self._last_seen.write)

    async def _end(self, before: float) -> None:
        async for some in portions([user_id for user_id, left in self._left.items() if left <= before]):
            for user_id in some:
                if self._left.get(user_id, inf) <= before:  # else the user has come back meanwhile
                    self._end_one(user_id, self._left.pop(user_id))

    def _end_one(self, user_id: int, left: float) -> None:
        self._registry.leave(user_id)
        self._changed[user_id] = None
        if self._events is not None:
            self._events.depart(user_id)
        if len(self._unstored) < MAX_WAITING:
            self._unstored[user_id] = left
        elif self._events is not None:
            self._events.lapse()

    async def _store(self, write: Callable[[Mapping[int, int]], Awaitable[None]]) -> None:
        while batch := dict(islice(self._unstored.items(), USERS_A_STATEMENT)):
            try:
                await write({user_id: round(1000 * left) for user_id, left in batch.items()})
            except StorageUnavailable:
                return  # the next turn tries again
            for user_id, left in batch.items():
                if self._unstored.get(user_id) == left:
                    del self._unstored[user_id]
