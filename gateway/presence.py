"""Seam: who is connected to which chat, over all nodes. `gateway.redis.presence` meets it."""

import hashlib
import time
from dataclasses import dataclass
from typing import Protocol

from gateway.messages import Present as Present


def guest_id(username: str) -> int:
    """What stands for a guest in seats, where others have their user id: a negative 64-bit number, the name's hash.

    Who could choose two names with one hash gains what the same name twice would give: a common seat.
    """
    digest = hashlib.blake2b(username.encode(), digest_size=8).digest()
    return -1 - (int.from_bytes(digest) >> 1)


def unsettled_claim() -> int:
    """What a seat that Redis does not know yet has for a claim on its own node: above all that Redis gives, and those
    given here before. So the newest on the node wins, and of other nodes' nobody before Redis has compared them.
    """
    return _UNSETTLED + time.monotonic_ns() // 1000


_UNSETTLED = 2**62


def is_guest(user_id: int) -> bool:
    """Whether this stands for a guest, who is no user and a member of nothing."""
    return user_id < 0


@dataclass(frozen=True, slots=True)
class Seat:
    """One connection's place in one chat.

    An `exclusive` seat is the only exclusive one of its user in that chat over all nodes (seed 004). In a chat with a
    `capacity` so many users may have seats over all nodes, each as many as it likes; who came first stays (seed 002).
    Every seat of a chat says the same capacity; 0 is none.
    """

    chat_id: int
    user_id: int
    username: str
    connection_id: str
    exclusive: bool = False
    capacity: int = 0

    @property
    def is_contested(self) -> bool:
        """Whether other seats may take its place."""
        return self.exclusive or self.capacity > 0


@dataclass(frozen=True, slots=True)
class Entered:
    """The seat is taken. `first`: the user was not present before. `count`: users present now.

    `claim` is Redis' time in µs when the seat was taken; of two exclusive seats of a user the higher (claim,
    connection_id) wins. `displaced` are the connection ids of this user's exclusive seats that lost to it.
    `crowded_out`: other users who came later and are too many now, each with the newest claim that it had.
    """

    first: bool
    count: int
    claim: int
    displaced: tuple[str, ...] = ()
    crowded_out: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Left:
    """The seat is free. `last`: the user is gone from the chat. `count`: users present now."""

    last: bool
    count: int


class PresenceListener(Protocol):
    """Who is told what presence finds on its own; synchronous, must not block."""

    def on_gone(self, chat_id: int, user_id: int, username: str, count: int) -> None:
        """A seat was cleared that a dead node, or this one in an outage, had left behind: the user is gone."""
        ...

    def on_entered(self, seat: Seat, entered: Entered) -> None:
        """What `enter` could not tell: a local seat is taken now, or again, with this claim; others must hear of it.

        Either `enter` had raised; or this node was taken for dead and its users' leaving told (`first` then says that
        everybody believes the user gone); or older exclusive seats lost to it. `displaced` may lack some of those, so
        that an exclusive seat is a takeover in any case.
        """
        ...

    def on_displaced(self, seat: Seat) -> None:
        """Re-asserting a local contested seat found others that come first: this connection must close."""
        ...


class Presence(Protocol):
    """Leases in Redis, on Redis' clock: an entry names its node and lives as long as that node's own lease."""

    async def enter(self, seat: Seat, *, reject_second: bool = False) -> Entered | None:
        """Take the seat; None if `reject_second` and the user holds a live exclusive one, or if the chat is full.

        Raises: RedisUnavailable (after about 1 s; the seat is then re-asserted when Redis is back).
        """
        ...

    async def leave(self, seat: Seat) -> Left:
        """Give the seat back.

        Raises: RedisUnavailable (the seat is then cleared when Redis is back, or with the node's lease).
        """
        ...

    async def loosen(self, seat: Seat) -> None:
        """An exclusive seat's socket is gone: its user stays present, but may come again, by whatever rule.

        Ends within about 1 s, and if Redis is away, it is done when it is back.
        """
        ...

    def give_up(self, seat: Seat) -> None:
        """Give the seat back as soon as may be; `on_gone` follows if its user is gone by it. Never blocks."""
        ...

    async def members(self, chat_id: int) -> list[Present]:
        """Users present now, seats of dead nodes left out.

        Raises: RedisUnavailable.
        """
        ...
