"""Closes sessions that were replaced, crowded out or removed, or whose token expired."""

import asyncio
import time
from collections.abc import Collection

from gateway.delivery.subscription import NO_USER, SubscriptionRegistry
from gateway.interfaces.membership import Memberships
from gateway.interfaces.presence import Seat, is_guest
from gateway.interfaces.session import OpenSession
from gateway.protocol.codes import Close, Disconnect
from gateway.protocol.publications import CrowdedOut, Takeover
from gateway.protocol.pushes import MemberChanged
from gateway.turns import portions
from storage.records import Role

EXPIRY_INTERVAL_S = 2.0
PAIRS_A_QUERY = 1000

_REPLACED = Disconnect(Close.REPLACED, "replaced by a newer connection")
_ROOM_FULL = Disconnect(Close.ROOM_FULL, "the room is full")
_REMOVED = Disconnect(Close.FORBIDDEN, "no longer a member of this chat")
_ENDED = Disconnect(Close.FORBIDDEN, "the chat was removed")
_EXPIRED = Disconnect(Close.UNAUTHORIZED, "the token has expired")


class Evictions:
    """Closes sessions of this node; every other node does the same for its own sessions."""

    def __init__(self, subscriptions: SubscriptionRegistry, membership: Memberships) -> None:
        self._subscriptions = subscriptions
        self._membership = membership

    def replace(self, takeover: Takeover) -> None:
        """Close the user's exclusive sessions in the chat that are older than the takeover."""
        for subscription in self._subscriptions.of(takeover.chat_id, takeover.user_id):
            if subscription.yields_to(takeover.claim, takeover.connection_id):
                subscription.close(_REPLACED)

    def crowd_out(self, crowded: CrowdedOut) -> None:
        """Close the sessions of a user who entered after the chat had reached its capacity."""
        for subscription in self._subscriptions.of(crowded.chat_id, crowded.user_id):
            if subscription.claim is not None and subscription.claim <= crowded.claim:
                subscription.close(_ROOM_FULL)

    def displace(self, seat: Seat) -> None:
        """Close the session of this one seat, since Redis holds seats that take precedence over it."""
        for subscription in self._subscriptions.of(seat.chat_id, seat.user_id):
            if subscription.connection_id == seat.connection_id:
                subscription.close(_REPLACED if seat.exclusive else _ROOM_FULL)

    def remove(self, chat_id: int, user_id: int) -> None:
        """Close the sessions of a user who is no longer a member."""
        for subscription in self._subscriptions.of(chat_id, user_id):
            subscription.close(_REMOVED)

    def note_role(self, change: MemberChanged) -> None:
        """Let the user's sessions in the chat know whether the user may only read there."""
        for subscription in self._subscriptions.of(change.chat_id, change.user_id):
            subscription.is_reader = change.role == Role.READER

    def end_chat(self, chat_id: int) -> None:
        """Close all sessions in a chat that was removed."""
        for user_id in self._subscriptions.users(chat_id):
            for subscription in self._subscriptions.of(chat_id, user_id):
                subscription.close(_ENDED)

    async def recheck(self, chat_ids: Collection[int]) -> None:
        """Close sessions of users whom the store no longer lists as members of these chats: a notification may be lost.

        Raises: StorageUnavailable.
        """
        seated = [
            (chat_id, user_id)
            for chat_id in chat_ids
            for user_id in self._subscriptions.users(chat_id)
            if user_id != NO_USER and not is_guest(user_id)
        ]
        for start in range(0, len(seated), PAIRS_A_QUERY):
            pairs = seated[start : start + PAIRS_A_QUERY]
            for chat_id, user_id in set(pairs) - await self._membership.still_members(pairs):
                self.remove(chat_id, user_id)


async def expire(sessions: Collection[OpenSession]) -> None:
    """Close sessions whose token has expired, at most `EXPIRY_INTERVAL_S` late, and warn others; until cancelled."""
    while True:
        await asyncio.sleep(EXPIRY_INTERVAL_S)
        now = time.time()
        async for some in portions(sessions):
            for session in some:
                if session.credential.expires_at <= now:
                    session.close(_EXPIRED)
                else:
                    session.warn_of_expiry(now)
