"""Applies changes of members to connected clients, on every node."""

from collections.abc import Collection

from gateway.interfaces.broker import Broker
from gateway.node.evictions import Evictions
from gateway.node.user_feed import UserFeed
from gateway.protocol.publications import MemberRemoved, encode
from gateway.protocol.pushes import MemberChanged


class MemberChanges:
    """Called after the commit of each change; never blocks.

    Implements `gateway.api.chats.members.MembershipListener`.
    """

    def __init__(self, feed: UserFeed, evictions: Evictions, broker: Broker) -> None:
        self._feed = feed
        self._evictions = evictions
        self._broker = broker

    def membership_changed(self, chat_id: int, user_id: int, removed: bool) -> None:
        """Notify of a member added or removed; on removal every node closes the user's sockets in the chat."""
        self._feed.change_members(chat_id, [user_id], removed=removed)
        if removed:
            self._evictions.remove(chat_id, user_id)
            self._broker.publish(chat_id, encode(MemberRemoved(chat_id, user_id)))

    def member_changed(self, chat_id: int, user_id: int, role: str, muted_until: int) -> None:
        """Push what a member may do from now on to everybody in the chat."""
        self._broker.publish(chat_id, encode(MemberChanged(chat_id, user_id, role, muted_until)))

    def chat_created(self, chat_id: int, user_ids: Collection[int]) -> None:
        """Notify the members of a new chat."""
        self._feed.change_members(chat_id, user_ids, removed=False)
