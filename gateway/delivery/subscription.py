"""A session's subscription to a chat, and the registry of all members' subscriptions on this node."""

import asyncio
from collections.abc import Iterable

from msgspec import Struct

from gateway.delivery.hub import LocalChat
from gateway.dialects.base import Dialect, EchoPolicy
from gateway.interfaces.presence import Seat
from gateway.interfaces.session import Recipient
from gateway.protocol.claim import Claim
from gateway.protocol.codes import Disconnect
from gateway.protocol.frames import FrameSink
from gateway.protocol.ids import Since
from gateway.protocol.replies import Reply, Reset, Truncated
from storage.records import ChatEvent, Committed, Outcome

NO_USER = 0
"""The user id of an anonymous subscriber."""


class PendingSubscription(Struct, frozen=True):
    """A seat that is held for a subscription that starts after `since` (None: with the next event)."""

    seat: Seat
    claim: Claim
    since: Since | None
    epoch: str
    """The epoch in which the chat was entered."""
    is_reader: bool = False
    """Whether the member may only read."""
    local: LocalChat | None = None
    """The chat, if it was opened for the subscription already."""
    members_version: int | None = None
    """That of the chat's members when the user was found among them; None if the user need not be one."""


class _EndedSession:
    """In the place of the session of a subscription that has ended: nothing reaches it, and it holds no session."""

    __slots__ = ("dialect", "outlet")

    def __init__(self, session: Recipient) -> None:
        self.dialect, self.outlet = session.dialect, session.outlet

    def tell(self, reply: Reply) -> None:
        """Write nothing."""

    async def wait_writable(self) -> bool:
        """It is closed."""
        return False

    def close(self, disconnect: Disconnect) -> None:
        """It is closed."""


class Subscription:
    """A session in a chat: first it reads pages of missed events, then it is live.

    A member's subscription has a seat; that of a visitor to a public chat has none, and is not part of presence.
    """

    __slots__ = ("_has_left", "_pos", "_sent", "claim", "is_live", "is_reader", "local", "seat", "session", "version")

    def __init__(self, session: Recipient, local: LocalChat, seat: Seat | None, claim: Claim | None) -> None:
        self.session: Recipient = session
        self.local = local
        self.seat = seat
        self.claim = claim
        """None without a seat; unsettled until Redis confirms the seat."""
        self.is_live = False
        self.is_reader = False
        """Whether the member may only read, as far as this node knows; the commit checks it."""
        self.version = local.version
        """The version of the chat's details when it was created."""
        self._has_left = False
        self._pos = 0
        self._sent: set[str] | None = set() if session.dialect.echo is EchoPolicy.OTHER_SOCKETS else None
        """The client_msg_ids of events that this socket has sent and whose echo is still to come."""

    @property
    def dialect(self) -> Dialect:
        """The JSON format of the session."""
        return self.session.dialect

    @property
    def chat_id(self) -> int:
        """The id of the chat."""
        return self.local.chat_id

    @property
    def user_id(self) -> int:
        """The user of the seat; NO_USER without a seat."""
        return NO_USER if self.seat is None else self.seat.user_id

    def admitted_at(self, members_version: int) -> None:
        """Let the next check compare the members of the chat again if that was done after this version of them.

        The user was found among them in that version, and it could not end this subscription, which did not exist yet.
        """
        if members_version < self.local.members_version:
            self.local.members_version = 0

    def has_left(self) -> bool:
        """Whether it has ended; the session receives nothing more."""
        return self._has_left

    def end(self) -> bool:
        """Mark it as ended; False if it had ended before."""
        was_active, self._has_left = not self._has_left, True
        return was_active

    def release(self) -> None:
        """Let go of the session, as the subscription has ended: each refers to the other."""
        self.session = _EndedSession(self.session)

    @property
    def pos(self) -> int:
        """The last seq that was written to this session."""
        return self.local.reorder_buffer.last_seq if self.is_live else self._pos

    @pos.setter
    def pos(self, seq: int) -> None:
        self._pos = seq

    @property
    def is_exclusive(self) -> bool:
        """Whether its seat is exclusive."""
        return self.seat is not None and self.seat.exclusive

    def yields_to(self, claim: Claim, connection_id: str) -> bool:
        """Whether it ends because of this exclusive seat of its user: the later of two stays (delivery.md 10)."""
        if not self.is_exclusive or self.claim is None:
            return False
        return (self.claim, self.connection_id) < (claim, connection_id)

    @property
    def connection_id(self) -> str:
        """The connection_id of the seat; empty without one."""
        return "" if self.seat is None else self.seat.connection_id

    def sends(self, client_msg_id: str) -> None:
        """Record that the session submits an event with this id; `settles` must follow."""
        if self._sent is not None:
            self._sent.add(client_msg_id)

    def settles(self, client_msg_id: str, outcome: Outcome) -> None:
        """Record the outcome. Must be called in the same turn of the event loop as `Hub.deliver`."""
        if self._sent is None:
            return
        if not isinstance(outcome, Committed):
            self._sent.discard(client_msg_id)
        elif outcome.event.seq <= self.local.reorder_buffer.last_seq:
            # Its echo was delivered, or is among this turn's pushes, whose flush was scheduled before this call.
            asyncio.get_running_loop().call_soon(self._sent.discard, client_msg_id)

    def consume_echo(self, event: ChatEvent) -> bool:
        """Whether to skip an event by this session's user. Call it once per event: the record of the id is consumed."""
        if self._sent is None:
            return self.dialect.echo is EchoPolicy.NONE
        is_own = event.client_msg_id in self._sent
        self._sent.discard(event.client_msg_id)
        return is_own

    @property
    def outlet(self) -> FrameSink:
        """The send queue of the session itself, so that a delivery has no extra call."""
        return self.session.outlet

    def reset(self, last_seq: int, epoch: str) -> None:
        """Tell the session that its positions in this chat belong to another epoch; never blocks."""
        self.session.tell(Reset(self.chat_id, last_seq, epoch))

    def truncate(self, first_seq: int) -> None:
        """Tell the session that events below `first_seq` were removed before it received them; never blocks."""
        self.session.tell(Truncated(self.chat_id, first_seq))

    def close(self, disconnect: Disconnect) -> None:
        """Close the session."""
        self.session.close(disconnect)


class SubscriptionRegistry:
    """The subscriptions of members on this node, by chat and user."""

    def __init__(self) -> None:
        self._chats: dict[int, dict[int, list[Subscription]]] = {}

    def add(self, subscription: Subscription) -> None:
        """Register a subscription."""
        users = self._chats.setdefault(subscription.chat_id, {})
        users.setdefault(subscription.user_id, []).append(subscription)

    def remove(self, subscription: Subscription) -> None:
        """Remove a subscription; ignored if it is not registered."""
        chat_id, user_id = subscription.chat_id, subscription.user_id
        users = self._chats.get(chat_id, {})
        subscriptions = users.get(user_id, [])
        if subscription not in subscriptions:
            return
        subscriptions.remove(subscription)
        if not subscriptions:
            del users[user_id]
        if not users:
            del self._chats[chat_id]

    def of(self, chat_id: int, user_id: int) -> list[Subscription]:
        """The user's subscriptions to the chat on this node."""
        return list(self._chats.get(chat_id, {}).get(user_id, ()))

    def settle(self, seat: Seat, claim: Claim) -> None:
        """Set the claim that Redis has given this seat."""
        for subscription in self.of(seat.chat_id, seat.user_id):
            if subscription.connection_id == seat.connection_id:
                subscription.claim = claim

    def users(self, chat_id: int) -> Iterable[int]:
        """The ids of users with subscriptions to the chat on this node."""
        return list(self._chats.get(chat_id, ()))
