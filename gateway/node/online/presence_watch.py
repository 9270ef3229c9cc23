"""Tells sockets when the users whom they watch come and go, on any node; of each user at most once a second.

Nodes announce whose presence has changed, but only as a hint: what is told is what Redis says. Every watched user is
also looked up in turn, so that a lost hint and a dead node are noticed.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from gateway.errors import RedisUnavailable
from gateway.interfaces.client_registry import ClientRegistry, LastSeenStore
from gateway.interfaces.session import LocalClient
from gateway.protocol.replies import UserPresence
from storage.errors import StorageUnavailable

HINTS_A_TURN: Final = 1000
"""Further users whose presence has changed wait for the next turn."""
OTHERS_A_TURN: Final = 200
"""Users who are looked up in turn, without a hint."""


class PresenceWatch:
    """`tell` sends a change to the sockets that watch its user. `OnlineUsers` calls `turn`."""

    def __init__(
        self,
        registry: ClientRegistry,
        last_seen: LastSeenStore,
        tell: Callable[[Collection[LocalClient], UserPresence], None],
    ) -> None:
        self._registry = registry
        self._last_seen = last_seen
        self._tell = tell
        self._watchers: dict[int, dict[LocalClient, None]] = {}
        """By user."""
        self._watched: dict[LocalClient, list[int]] = {}
        self._known: OrderedDict[int, bool] = OrderedDict()
        """Whether each watched user was online, as it was told last; those come first who are to be looked up next."""
        self._hinted: dict[int, None] = {}

    def watch(self, client: LocalClient, users: Sequence[UserPresence]) -> None:
        """Let the socket watch these users, whose present state it knows, in place of those that it watched before."""
        self.unwatch(client)
        if not users:
            return
        self._watched[client] = [user.user_id for user in users]
        for user in users:
            if user.user_id not in self._watchers:
                self._watchers[user.user_id] = {}
                self._known[user.user_id] = user.online
            self._watchers[user.user_id][client] = None

    def unwatch(self, client: LocalClient) -> None:
        """The socket watches nobody any more."""
        for user_id in self._watched.pop(client, ()):
            watchers = self._watchers.get(user_id, {})
            watchers.pop(client, None)
            if not watchers:
                self._watchers.pop(user_id, None)
                self._known.pop(user_id, None)
                self._hinted.pop(user_id, None)

    def hint(self, user_ids: Collection[int]) -> None:
        """The presence of these users may have changed."""
        self._hinted.update(dict.fromkeys(user_id for user_id in user_ids if user_id in self._watchers))

    async def turn(self) -> None:
        """Look up who was hinted at, and some others, and tell what has changed. Called once in a second or so.

        While Redis or the database does not respond, no change is pushed; a later turn looks these users up again.
        """
        with suppress(RedisUnavailable, StorageUnavailable):
            await self._tell_changes(self._due())

    async def _tell_changes(self, user_ids: list[int]) -> None:
        online = await self._registry.online(user_ids)
        changed = [
            user_id for user_id in user_ids if user_id in self._known and self._known[user_id] != (user_id in online)
        ]
        left = [user_id for user_id in changed if user_id not in online]
        seen = await self._last_seen.of(left, None) if left else {}
        for user_id in changed:
            watchers = self._watchers.get(user_id)
            if watchers:
                self._known[user_id] = user_id in online
                self._tell(list(watchers), state_of(user_id, seen.get(user_id), is_online=user_id in online))

    def _due(self) -> list[int]:
        due = dict.fromkeys(list(self._hinted)[:HINTS_A_TURN])
        for user_id in due:
            del self._hinted[user_id]
        for user_id in list(islice(self._known, OTHERS_A_TURN)):
            self._known.move_to_end(user_id)
            due[user_id] = None
        return list(due)


def state_of(user_id: int, seen_ms: int | None, *, is_online: bool) -> UserPresence:
    """The presence of a user; `seen_ms` (Unix ms) is of interest only if the user is offline."""
    if is_online or seen_ms is None:
        return UserPresence(user_id, is_online, None)
    return UserPresence(user_id, False, datetime.fromtimestamp(seen_ms / 1000, UTC))
