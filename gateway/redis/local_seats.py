"""This node's own seats: what it has in Redis, what it is not sure of, and what it still has to give back."""

import time
from collections import Counter, OrderedDict
from dataclasses import replace
from itertools import islice

from gateway.presence import Seat

Key = tuple[int, str]
"""Chat and connection: what tells seats apart."""
MAX_OWED = 10_000
"""What an outage of Redis may pile up, beside the seats that there are."""


class LocalSeat:
    """A seat and its claim (µs on Redis' clock), which only Redis can give it."""

    __slots__ = ("claim", "late_since", "seat")

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self.claim: int | None = None
        self.late_since: float | None = None
        """When `enter` found Redis away (monotonic), until the seat has its claim."""

    @property
    def is_taken(self) -> bool:
        """Whether its session may be in already; before that, `enter` is under way."""
        return self.claim is not None or self.late_since is not None

    def claim_or_age(self) -> int | None:
        """The claim; of a late seat how long ago it was taken, as a negative number: no two nodes' clocks are alike."""
        if self.late_since is None:
            return self.claim
        return -1 - round((time.monotonic() - self.late_since) * 1_000_000)


class LocalSeats:
    """Everything here is synchronous; `upkeep` brings Redis in line with it."""

    def __init__(self) -> None:
        self._seats: OrderedDict[Key, LocalSeat] = OrderedDict()
        self._chats: Counter[int] = Counter()
        self._doubtful: dict[Key, LocalSeat] = {}
        self._owed: dict[Key, Seat] = {}

    def __len__(self) -> int:
        return len(self._seats)

    def clear(self) -> None:
        """This node has no seats any more."""
        self._seats.clear()
        self._chats = Counter(chat_id for chat_id, _ in self._owed)
        self._doubtful.clear()

    def add(self, seat: Seat) -> LocalSeat:
        """From now on the seat is this node's."""
        key = seat.chat_id, seat.connection_id
        self.settle(seat)
        if key not in self._seats:
            self._chats[seat.chat_id] += 1
        local = self._seats[key] = LocalSeat(seat)
        return local

    def remove(self, seat: Seat) -> None:
        """From now on it is not."""
        key = seat.chat_id, seat.connection_id
        self._doubtful.pop(key, None)
        if self._seats.pop(key, None) is not None:
            self._uncount(seat.chat_id)

    def _uncount(self, chat_id: int) -> None:
        self._chats[chat_id] -= 1
        if not self._chats[chat_id]:
            del self._chats[chat_id]

    def loosen(self, seat: Seat) -> LocalSeat | None:
        """Make it no more exclusive than any; None if it is not this node's."""
        local = self._seats.get((seat.chat_id, seat.connection_id))
        if local is not None:
            local.seat = replace(seat, exclusive=False)
        return local

    def holds(self, local: LocalSeat) -> bool:
        """Whether it is still this node's."""
        return self._seats.get((local.seat.chat_id, local.seat.connection_id)) is local

    def is_in(self, chat_id: int) -> bool:
        """Whether this node has any seat in the chat, or owes one there."""
        return chat_id in self._chats

    # --- what Redis may not have

    def doubt(self, local: LocalSeat) -> None:
        """Redis may not have this seat, or not as it is."""
        self._doubtful[local.seat.chat_id, local.seat.connection_id] = local

    def doubt_all(self, *, contested_only: bool = False) -> None:
        """Redis may have lost everything, or given contested seats to others unheard."""
        for local in self._seats.values():
            if local.is_taken and (local.seat.is_contested or not contested_only):
                self.doubt(local)

    def doubt_some(self, share: float) -> None:
        """Doubt this share of the seats, those first that were not for the longest time."""
        for key in list(islice(self._seats, round(len(self._seats) * share + 0.5))):
            self._seats.move_to_end(key)
            local = self._seats[key]
            if local.is_taken:
                self.doubt(local)

    def doubtful(self, most: int) -> list[LocalSeat]:
        """Some of the seats to assert; each stays doubtful until `trust`."""
        return list(islice(self._doubtful.values(), most))

    def trust(self, local: LocalSeat) -> None:
        """Redis has it as it is."""
        self._doubtful.pop((local.seat.chat_id, local.seat.connection_id), None)

    # --- what Redis should not have

    def owe(self, seat: Seat) -> bool:
        """Redis may have a seat that is not this node's any more; False if too many are owed already."""
        key = seat.chat_id, seat.connection_id
        if key not in self._seats and key not in self._owed:
            if len(self._owed) >= MAX_OWED:
                return False
            self._owed[key] = seat
            self._chats[seat.chat_id] += 1
        return True

    def owe_nothing(self) -> None:
        """Others give back what is owed."""
        for seat in list(self._owed.values()):
            self.settle(seat)

    def owed(self, most: int) -> list[Seat]:
        """Some of the seats to give back; each stays owed until `settle`."""
        return list(islice(self._owed.values(), most))

    def settle(self, seat: Seat) -> None:
        """Redis does not have it."""
        if self._owed.pop((seat.chat_id, seat.connection_id), None) is not None:
            self._uncount(seat.chat_id)
