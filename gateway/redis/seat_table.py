"""The seats of all nodes as Redis keeps them: one hash a chat, one script a change, typed.

Invariant: no seat is taken by a command that its caller has given up. A Redis that was frozen, or what stands before
it, may still carry out what came over a connection that is long broken: so every taking says until when it holds.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.errors import RedisUnavailable
from gateway.presence import Entered, Left, Seat
from gateway.redis.link import Commands, Script

SEAT_TTL_S = 3600
"""A backstop. Living nodes assert their seats again six times as often (`upkeep`)."""
HOLDS_US = 2_000_000
"""A taking that reaches Redis later than this does nothing: its caller waits for about 1 s (`link`)."""

_ENTER = Script("presence_enter")
_LEAVE = Script("presence_leave")
_SWEEP = Script("presence_sweep")
_KEPT_AWAY, _TOO_LATE = 0, -1  # verdicts of presence_enter.lua; else it is 1


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
        self._ahead_us: int | None = None
        """How far Redis' clock is ahead of this process' monotonic one, as of the last answer."""

    async def take(
        self, seat: Seat, node: str, *, claim: int | None = None, reject: bool = False, dead: Iterable[str] = ()
    ) -> Entered | KeptAway:
        """Take a seat for a node, with a claim of old (below 0: from so many µs ago) or a new one, the user's highest.

        Exclusive seats of the user on nodes that are not `dead` keep it away: any if told to `reject`, else newer ones;
        and so do as many users as the chat holds, if they came earlier.
        """
        answer = await self._enter(seat, node, claim, reject, dead)
        if answer[0] == _TOO_LATE:  # the first taking here, or Redis' clock has leapt: only now we know its time
            answer = await self._enter(seat, node, claim, reject, dead)
        verdict, *rest = answer
        if verdict == _TOO_LATE:
            raise RedisUnavailable
        if verdict == _KEPT_AWAY:
            return KeptAway(frozenset(_text(name) for name in rest))
        was_absent, count, claimed, displaced, crowded = rest
        return Entered(
            first=was_absent == 1,
            count=count,
            claim=int(claimed),
            displaced=tuple(_text(id_) for id_ in displaced),
            crowded_out=tuple((int(crowded[i]), int(crowded[i + 1])) for i in range(0, len(crowded), 2)),
        )

    async def _enter(self, seat: Seat, node: str, claim: int | None, reject: bool, dead: Iterable[str]) -> list[Any]:
        answer: list[Any] = await self._link.run_script(
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
            0 if self._ahead_us is None else _monotonic_us() + self._ahead_us + HOLDS_US,
            *dead,
        )
        now, *rest = answer
        self._ahead_us = now - _monotonic_us()
        return rest

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


def _monotonic_us() -> int:
    return time.monotonic_ns() // 1000


def _text(value: bytes) -> str:
    return value.decode()
