"""The users connected to each chat, across all nodes. Implemented by `gateway.redis.presence.presence`."""

import hashlib
from typing import Protocol

from msgspec import Struct

from gateway.protocol.claim import Claim
from gateway.protocol.replies import Present as Present


def guest_id(username: str) -> int:
    """The `user_id` of a guest's seat: a negative 64-bit number, the hash of the username.

    Two names with the same hash share a seat, which is no more than using one name twice gives.
    """
    digest = hashlib.blake2b(username.encode(), digest_size=8).digest()
    return -1 - (int.from_bytes(digest) >> 1)


def is_guest(user_id: int) -> bool:
    """Whether this id is that of a guest, who is not a user and has no memberships."""
    return user_id < 0


class Seat(Struct, frozen=True, gc=False):
    """One connection's place in one chat.

    An `exclusive` seat is the only exclusive one of its user in that chat across all nodes (seed 004).
    `capacity` limits the users with seats in the chat across all nodes, each with any number of seats; the earliest
    users stay (seed 002). All seats of a chat have the same capacity; 0 means no limit. The `display_name` stays on
    this node.
    """

    chat_id: int
    user_id: int
    username: str
    connection_id: str
    exclusive: bool = False
    capacity: int = 0
    display_name: str = ""

    @property
    def is_contested(self) -> bool:
        """Whether other seats may displace it."""
        return self.exclusive or self.capacity > 0


class Entered(Struct, frozen=True, gc=False):
    """The seat is taken. `first`: the user was not present before. `count`: users present now.

    Of two exclusive seats of a user the one with the higher (claim, connection_id) wins. `displaced` are the connection
    ids of this user's exclusive seats that lost to it. `crowded_out`: other users who came later and now exceed the
    capacity, each with its newest claim. All claims are settled.
    """

    first: bool
    count: int
    claim: Claim
    displaced: tuple[str, ...] = ()
    crowded_out: tuple[tuple[int, Claim], ...] = ()


class Left(Struct, frozen=True, gc=False):
    """The seat is released. `last`: it was the user's last seat in the chat. `count`: users present now."""

    last: bool
    count: int


class PresenceListener(Protocol):
    """Receives the changes that presence detects by itself; every method is synchronous and must not block."""

    def on_gone(self, chat_id: int, user_id: int, username: str, count: int) -> None:
        """A user is gone: a seat left behind by a dead node, or by this one in an outage, was cleared."""
        ...

    def on_entered(self, seat: Seat, entered: Entered) -> None:
        """A local seat was taken or re-asserted after `enter`, with this claim; the other nodes must be notified.

        Either `enter` raised; or this node was considered dead and the leave of its users was published (then `first`
        is set); or older exclusive seats lost to this one. `displaced` may lack some of those, so treat an exclusive
        seat as a takeover in any case.
        """
        ...

    def on_displaced(self, seat: Seat) -> None:
        """Other seats take precedence over a re-asserted local seat: close its connection."""
        ...


class Presence(Protocol):
    """Seats in Redis, on Redis' clock: a seat names its node and expires with the lease of that node."""

    async def enter(self, seat: Seat, *, reject_second: bool = False) -> Entered | None:
        """Take the seat; None if `reject_second` and the user holds a live exclusive one, or if the chat is full.

        Raises: RedisUnavailable (after about 1 s; the seat is then re-asserted when Redis is available again).
        """
        ...

    async def leave(self, seat: Seat) -> Left:
        """Release the seat.

        Raises: RedisUnavailable (the seat is then cleared when Redis is back, or expires with the node's lease).
        """
        ...

    async def loosen(self, seat: Seat) -> None:
        """Make an exclusive seat non-exclusive, as its socket is closed: the user stays present, but may reconnect.

        Returns within about 1 s; if Redis is unavailable, the change is made when it is available again.
        """
        ...

    def give_up(self, seat: Seat) -> None:
        """Release the seat as soon as possible; `on_gone` follows if it was the user's last. Never blocks."""
        ...

    async def members(self, chat_id: int) -> list[Present]:
        """The users present now, without the seats of dead nodes.

        Raises: RedisUnavailable.
        """
        ...
