"""This node's own seats: those in Redis, those to assert again ("doubtful") and those to give back ("owed")."""

import time
from collections import Counter, OrderedDict
from itertools import islice

from msgspec.structs import replace

from gateway.interfaces.presence import Seat
from gateway.protocol.claim import Claim

SeatKey = tuple[int, str]
"""Chat and connection, which together identify a seat."""
MAX_OWED = 10_000
"""The maximum of seats to give back that may accumulate during an outage of Redis."""


class LocalSeat:
    """A seat and its claim, which only Redis can assign."""

    __slots__ = ("claim", "late_since", "seat")

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self.claim: Claim | None = None
        self.late_since: float | None = None
        """When `enter` failed because Redis was unavailable (monotonic); None once the seat has its claim."""

    @property
    def is_taken(self) -> bool:
        """Whether its session may have joined already; before that, `enter` is pending."""
        return self.claim is not None or self.late_since is not None

    def claim_or_age(self) -> int | None:
        """The claim in µs; for a late seat its age in µs as a negative number, because nodes' clocks differ."""
        if self.late_since is None:
            return None if self.claim is None else self.claim.settled_us
        return -1 - round((time.monotonic() - self.late_since) * 1_000_000)


class LocalSeats:
    """The seats in memory. All methods are synchronous; `Reconciler` updates Redis to match."""

    def __init__(self) -> None:
        self._seats: OrderedDict[SeatKey, LocalSeat] = OrderedDict()
        self._chats: Counter[int] = Counter()
        self._doubtful: dict[SeatKey, LocalSeat] = {}
        self._owed: dict[SeatKey, Seat] = {}

    def __len__(self) -> int:
        return len(self._seats)

    def clear(self) -> None:
        """Remove all seats."""
        self._seats.clear()
        self._chats = Counter(chat_id for chat_id, _ in self._owed)
        self._doubtful.clear()

    def add(self, seat: Seat) -> LocalSeat:
        """Add a seat to this node's."""
        key = seat.chat_id, seat.connection_id
        self.settle(seat)
        if key not in self._seats:
            self._chats[seat.chat_id] += 1
        local = self._seats[key] = LocalSeat(seat)
        return local

    def remove(self, seat: Seat) -> None:
        """Remove a seat from this node's."""
        key = seat.chat_id, seat.connection_id
        self._doubtful.pop(key, None)
        if self._seats.pop(key, None) is not None:
            self._uncount(seat.chat_id)

    def _uncount(self, chat_id: int) -> None:
        self._chats[chat_id] -= 1
        if not self._chats[chat_id]:
            del self._chats[chat_id]

    def loosen(self, seat: Seat) -> LocalSeat | None:
        """Make a seat non-exclusive; None if it is not this node's."""
        local = self._seats.get((seat.chat_id, seat.connection_id))
        if local is not None:
            local.seat = replace(seat, exclusive=False)
        return local

    def holds(self, local: LocalSeat) -> bool:
        """Whether the seat is still this node's."""
        return self._seats.get((local.seat.chat_id, local.seat.connection_id)) is local

    def is_in(self, chat_id: int) -> bool:
        """Whether this node has a seat in the chat, or has still to give one back there."""
        return chat_id in self._chats

    # --- what Redis may not have

    def doubt(self, local: LocalSeat) -> None:
        """Mark a seat that Redis may lack, or have in another state."""
        self._doubtful[local.seat.chat_id, local.seat.connection_id] = local

    def doubt_all(self, *, contested_only: bool = False) -> None:
        """Mark all seats, or only the contested ones, which others may have taken over without a notification."""
        for local in self._seats.values():
            if local.is_taken and (local.seat.is_contested or not contested_only):
                self.doubt(local)

    def doubt_some(self, share: float) -> None:
        """Mark this share of the seats as doubtful, the least recently marked first."""
        for key in list(islice(self._seats, round(len(self._seats) * share + 0.5))):
            self._seats.move_to_end(key)
            local = self._seats[key]
            if local.is_taken:
                self.doubt(local)

    def doubtful(self) -> list[LocalSeat]:
        """The seats to assert; each stays doubtful until `trust`."""
        return list(self._doubtful.values())

    def is_doubtful(self, local: LocalSeat) -> bool:
        """Whether the seat is still to be asserted."""
        return self._doubtful.get((local.seat.chat_id, local.seat.connection_id)) is local

    def trust(self, local: LocalSeat) -> None:
        """Unmark a seat, because Redis has it in its current state."""
        self._doubtful.pop((local.seat.chat_id, local.seat.connection_id), None)

    # --- what Redis should not have

    def owe(self, seat: Seat) -> bool:
        """Note a seat to give back, because Redis may still have it; False if MAX_OWED is reached."""
        key = seat.chat_id, seat.connection_id
        if key not in self._seats and key not in self._owed:
            if len(self._owed) >= MAX_OWED:
                return False
            self._owed[key] = seat
            self._chats[seat.chat_id] += 1
        return True

    def owe_nothing(self) -> None:
        """Forget all owed seats, which sweepers will clear."""
        for seat in list(self._owed.values()):
            self.settle(seat)

    def owed(self, most: int) -> list[Seat]:
        """Some of the seats to give back; each stays owed until `settle`."""
        return list(islice(self._owed.values(), most))

    def settle(self, seat: Seat) -> None:
        """Note that Redis does not have the seat."""
        if self._owed.pop((seat.chat_id, seat.connection_id), None) is not None:
            self._uncount(seat.chat_id)
