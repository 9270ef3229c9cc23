"""The seats of all nodes as Redis keeps them: one hash a chat, one script a change, typed."""

from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from gateway.presence import Entered, Left, Seat
from gateway.redis.link import Commands, Script

SEAT_TTL_S = 3600
"""A backstop. Living nodes assert their seats again six times as often (`upkeep`)."""

_ENTER = Script("presence_enter")
_LEAVE = Script("presence_leave")
_SWEEP = Script("presence_sweep")


@dataclass(frozen=True, slots=True)
class KeptAway:
    """The seat was not taken: others, on these nodes, come first."""

    nodes: frozenset[str]


@dataclass(frozen=True, slots=True)
class SeatedUser:
    """A user as a chat's table has it: its seats as (node, claim in µs)."""

    user_id: int
    username: str
    seats: tuple[tuple[str, int], ...]


class SeatTable:
    """Every method raises RedisUnavailable."""

    def __init__(self, link: Commands) -> None:
        self._link = link

    async def take(
        self, seat: Seat, node: str, *, claim: int | None = None, reject: bool = False, dead: Iterable[str] = ()
    ) -> Entered | KeptAway:
        """Take a seat for a node, with a claim of old or a new one that is the user's highest.

        Exclusive seats of the user on nodes that are not `dead` keep it away: any if told to `reject`, else newer ones;
        and so do as many users as the chat holds, if they came earlier.
        """
        is_taken, *rest = await self._link.run_script(
            _ENTER,
            _key(seat.chat_id),
            seat.user_id,
            seat.username,
            seat.connection_id,
            node,
            int(seat.exclusive),
            "" if claim is None else claim,
            int(reject),
            SEAT_TTL_S,
            seat.capacity,
            *dead,
        )
        if not is_taken:
            return KeptAway(frozenset(_text(name) for name in rest))
        was_absent, count, claimed, displaced, crowded = rest
        return Entered(
            first=was_absent == 1,
            count=count,
            claim=int(claimed),
            displaced=tuple(_text(id_) for id_ in displaced),
            crowded_out=tuple((int(crowded[i]), int(crowded[i + 1])) for i in range(0, len(crowded), 2)),
        )

    async def free(self, seat: Seat) -> Left:
        """Give a seat back; nothing happens if it is free."""
        is_gone, count = await self._link.run_script(_LEAVE, _key(seat.chat_id), seat.user_id, seat.connection_id)
        return Left(last=is_gone == 1, count=count)

    async def clear(self, chat_id: int, node: str) -> tuple[int, list[tuple[int, str]]]:
        """Free a dead node's seats in a chat; the users present now, and id and name of those who are gone by it."""
        count, *gone = await self._link.run_script(_SWEEP, _key(chat_id), node)
        return count, [(int(gone[i]), _text(gone[i + 1])) for i in range(0, len(gone), 2)]

    async def users(self, chat_id: int) -> list[SeatedUser]:
        """Everybody with a seat in the chat, on whatever node."""
        fields = await self._link.call("HGETALL", _key(chat_id))
        users = []
        for i in range(0, len(fields), 2):
            user = orjson.loads(fields[i + 1])
            seats = tuple((node, int(claim)) for node, _, claim in user["s"].values())
            users.append(SeatedUser(int(fields[i]), user["n"], seats))
        return users


def _key(chat_id: int) -> str:
    return f"presence:{chat_id}"


def _text(value: bytes) -> str:
    return value.decode()
