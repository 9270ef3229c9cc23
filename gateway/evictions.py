"""Who must go: sessions that a newer one has replaced, whose user is no longer a member, or whose token has expired."""

import asyncio
import time
from collections.abc import Collection
from typing import Protocol

from gateway.codes import Close, Disconnect
from gateway.membership import Membership
from gateway.messages import CrowdedOut, Takeover
from gateway.presence import Seat, is_guest
from gateway.subscription import Roster

EXPIRY_INTERVAL_S = 2.0
PAIRS_A_QUERY = 1000

_REPLACED = Disconnect(Close.REPLACED, "replaced by a newer connection")
_ROOM_FULL = Disconnect(Close.ROOM_FULL, "the room is full")
_REMOVED = Disconnect(Close.FORBIDDEN, "no longer a member of this chat")
_EXPIRED = Disconnect(Close.UNAUTHORIZED, "the token has expired")


class Expiring(Protocol):
    """A session, as far as its token goes."""

    @property
    def expires_at(self) -> float:
        """When the token expires, in Unix seconds."""
        ...

    def close(self, disconnect: Disconnect) -> None:
        """Close it; never blocks."""
        ...


class Evictions:
    """Closes this node's sessions that must go; every other node does the same with its own."""

    def __init__(self, roster: Roster, membership: Membership) -> None:
        self._roster = roster
        self._membership = membership

    def replace(self, takeover: Takeover) -> None:
        """Close the user's exclusive sessions in the chat that are older than the takeover."""
        for subscription in self._roster.of(takeover.chat_id, takeover.user_id):
            if subscription.is_exclusive and subscription.rank < (takeover.claim, takeover.connection_id):
                subscription.close(_REPLACED)

    def crowd_out(self, crowded: CrowdedOut) -> None:
        """Close the sessions of a user who came when the chat was full of others."""
        for subscription in self._roster.of(crowded.chat_id, crowded.user_id):
            if subscription.claim <= crowded.claim:
                subscription.close(_ROOM_FULL)

    def displace(self, seat: Seat) -> None:
        """Close the session of this one seat: others that come first were found in Redis."""
        for subscription in self._roster.of(seat.chat_id, seat.user_id):
            if subscription.connection_id == seat.connection_id:
                subscription.close(_REPLACED if seat.exclusive else _ROOM_FULL)

    def remove(self, chat_id: int, user_id: int) -> None:
        """Close the sessions of a user who is no longer a member."""
        for subscription in self._roster.of(chat_id, user_id):
            subscription.close(_REMOVED)

    async def recheck(self, chat_ids: Collection[int]) -> None:
        """Ask the store who still belongs to these chats: the word of it may have been lost.

        Raises: StorageUnavailable.
        """
        seated = [
            (chat_id, user_id)
            for chat_id in chat_ids
            for user_id in self._roster.users(chat_id)
            if not is_guest(user_id)
        ]
        for start in range(0, len(seated), PAIRS_A_QUERY):
            pairs = seated[start : start + PAIRS_A_QUERY]
            for chat_id, user_id in set(pairs) - await self._membership.still_members(pairs):
                self.remove(chat_id, user_id)


async def expire(sessions: Collection[Expiring]) -> None:
    """Close sessions whose token has expired, for ever; at most `EXPIRY_INTERVAL_S` late."""
    while True:
        await asyncio.sleep(EXPIRY_INTERVAL_S)
        now = time.time()
        for session in [session for session in sessions if session.expires_at <= now]:
            session.close(_EXPIRED)
