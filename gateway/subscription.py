"""One session's interest in one chat, and the register of all of them on this node."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from gateway.codes import Disconnect
from gateway.dialects.base import Dialect, Echo
from gateway.hub import LocalChat
from gateway.messages import Reply, Reset
from gateway.outlet import Outlet
from gateway.presence import Seat
from gateway.since import Since
from storage.records import ChatEvent, Committed, Outcome

NOBODY = 0
"""The user id of those who have none."""


class Recipient(Protocol):
    """The session behind a subscription, as the core sees it."""

    @property
    def dialect(self) -> Dialect:
        """How it is spoken to."""
        ...

    @property
    def outlet(self) -> Outlet:
        """Where frames for it go out."""
        ...

    def tell(self, reply: Reply) -> None:
        """Give it a reply of its own, in its dialect; never blocks."""
        ...

    async def room(self) -> bool:
        """Return once its outbox has room for another page; False if it is closed."""
        ...

    def close(self, disconnect: Disconnect) -> None:
        """Close it; what was offered before is written first."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """A seat that is held in a chat, for a subscription that starts after `since` (None: with what comes)."""

    seat: Seat
    claim: int
    since: Since | None
    epoch: str
    """Of the history in which the chat was entered."""


class Subscription:
    """A session in a chat: first paging towards the live stream, then live.

    A member's has a seat; a visitor of a public chat has none, and nobody is told that it is there.
    """

    __slots__ = ("_has_left", "_pos", "_sent", "claim", "is_live", "local", "seat", "session")

    def __init__(self, session: Recipient, local: LocalChat, seat: Seat | None, claim: int) -> None:
        self.session = session
        self.local = local
        self.seat = seat
        self.claim = claim
        """When the seat was taken, in µs on Redis' clock; unsettled while Redis has not said."""
        self.is_live = False
        self._has_left = False
        self._pos = 0
        self._sent: set[str] | None = set() if session.dialect.echo is Echo.OTHER_SOCKETS else None
        """By client_msg_id: what this very socket has sent and will come by, whichever way it comes."""

    @property
    def dialect(self) -> Dialect:
        """How the session is spoken to."""
        return self.session.dialect

    @property
    def chat_id(self) -> int:
        """The chat."""
        return self.local.chat_id

    @property
    def user_id(self) -> int:
        """Whose seat it is; NOBODY's without one."""
        return NOBODY if self.seat is None else self.seat.user_id

    def has_left(self) -> bool:
        """Whether it has ended; nothing more is owed to the session."""
        return self._has_left

    def end(self) -> bool:
        """Mark it as ended; False if it was already."""
        was_on, self._has_left = not self._has_left, True
        return was_on

    @property
    def pos(self) -> int:
        """The last seq that was written to this session."""
        return self.local.timeline.last_seq if self.is_live else self._pos

    @pos.setter
    def pos(self, seq: int) -> None:
        self._pos = seq

    @property
    def is_exclusive(self) -> bool:
        """Whether its seat is to be its user's only exclusive one."""
        return self.seat is not None and self.seat.exclusive

    @property
    def rank(self) -> tuple[int, str]:
        """Of two exclusive seats of a user, the higher rank keeps the place (delivery.md 10)."""
        return self.claim, self.connection_id

    @property
    def connection_id(self) -> str:
        """The seat's; none without one."""
        return "" if self.seat is None else self.seat.connection_id

    def sends(self, client_msg_id: str) -> None:
        """The session submits an event with this id; `settles` must follow."""
        if self._sent is not None:
            self._sent.add(client_msg_id)

    def settles(self, client_msg_id: str, outcome: Outcome) -> None:
        """What became of it. Must be called in the turn of the loop in which the hub was fed."""
        if self._sent is None:
            return
        if not isinstance(outcome, Committed):
            self._sent.discard(client_msg_id)
        elif outcome.event.seq <= self.local.timeline.last_seq:
            # It has come by, or is among this turn's pushes, whose flush was scheduled before this.
            asyncio.get_running_loop().call_soon(self._sent.discard, client_msg_id)

    def skips(self, event: ChatEvent) -> bool:
        """Whether an event by this session's user is not for it. Asked once an event: it will not come by again."""
        if self._sent is None:
            return self.dialect.echo is Echo.NONE
        is_own = event.client_msg_id in self._sent
        self._sent.discard(event.client_msg_id)
        return is_own

    @property
    def outlet(self) -> Outlet:
        """The session's outbox itself: a delivery takes no detour."""
        return self.session.outlet

    def reset(self, last_seq: int, epoch: str) -> None:
        """Tell the session that its positions in this chat are of another history; never blocks."""
        self.session.tell(Reset(self.chat_id, last_seq, epoch))

    def close(self, disconnect: Disconnect) -> None:
        """Close the session."""
        self.session.close(disconnect)


class Roster:
    """Every member's subscription on this node, by chat and user."""

    def __init__(self) -> None:
        self._chats: dict[int, dict[int, list[Subscription]]] = {}

    def add(self, subscription: Subscription) -> None:
        """Register it."""
        users = self._chats.setdefault(subscription.chat_id, {})
        users.setdefault(subscription.user_id, []).append(subscription)

    def remove(self, subscription: Subscription) -> None:
        """Forget it; it may be gone already."""
        chat_id, user_id = subscription.chat_id, subscription.user_id
        users = self._chats.get(chat_id, {})
        mine = users.get(user_id, [])
        if subscription not in mine:
            return
        mine.remove(subscription)
        if not mine:
            del users[user_id]
        if not users:
            del self._chats[chat_id]

    def of(self, chat_id: int, user_id: int) -> list[Subscription]:
        """The user's subscriptions to the chat on this node."""
        return list(self._chats.get(chat_id, {}).get(user_id, ()))

    def settle(self, seat: Seat, claim: int) -> None:
        """Redis has given this seat its claim."""
        for subscription in self.of(seat.chat_id, seat.user_id):
            if subscription.connection_id == seat.connection_id:
                subscription.claim = claim

    def users(self, chat_id: int) -> Iterable[int]:
        """Who has subscriptions to the chat on this node."""
        return list(self._chats.get(chat_id, ()))
