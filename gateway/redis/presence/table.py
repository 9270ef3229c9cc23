"""Typed access to the seats of all nodes in Redis: one hash per chat, one script per change.

Invariant: no seat is taken by a command whose caller has timed out. A frozen Redis, or a proxy before it, may execute a
command long after its connection broke, so every command that takes a seat has a deadline.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from gateway.errors import RedisUnavailable
from gateway.interfaces.presence import Entered, Left, Seat
from gateway.protocol.claim import Claim
from gateway.redis.connection.command_client import CommandExecutor, Script

SEAT_TTL_S = 3600
"""A safeguard: living nodes assert their seats six times as often (`reconciler`)."""
HOLDS_US = 2_000_000
"""A command that reaches Redis later than this takes no seat; its caller waits for about 1 s (`command_client`)."""

_ENTER = Script(Path(__file__).with_name("enter.lua"))
_LEAVE = Script(Path(__file__).with_name("leave.lua"))
_SWEEP = Script(Path(__file__).with_name("sweep.lua"))
_KEPT_AWAY, _TOO_LATE = 0, -1  # verdicts of enter.lua; 1 if the seat was taken


@dataclass(frozen=True, slots=True)
class KeptAway:
    """The seat was not taken, because seats on these nodes have precedence."""

    nodes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Cleared:
    """What one step of clearing a chat did."""

    cursor: str
    """Where to continue; "0" after the last step."""
    count: int
    """Users present."""
    gone: tuple[tuple[int, str], ...]
    """Id and name of the users without a seat left."""


@dataclass(frozen=True, slots=True)
class SeatedUser:
    """A user in a chat's table, with its seats as (node, claim in µs)."""

    user_id: int
    username: str
    seats: tuple[tuple[str, int], ...]


class SeatTable:
    """The seat tables of all chats. Every method may raise RedisUnavailable."""

    def __init__(self, link: CommandExecutor) -> None:
        self._link = link
        self._ahead_us: int | None = None
        """How far Redis' clock was ahead of this process' monotonic clock at the last reply."""

    async def take(
        self, seat: Seat, node: str, *, claim: int | None = None, reject: bool = False, dead: Iterable[str] = ()
    ) -> Entered | KeptAway:
        """Take a seat for a node with an earlier claim (below 0: so many µs ago), or a new one, the user's highest.

        Exclusive seats of the user on nodes that are not `dead` prevent it: any with `reject`, else those with newer
        claims. So does a full chat whose users came earlier.
        """
        answer = await self._enter(seat, node, claim, reject, dead)
        if answer[0] == _TOO_LATE:  # the first call, or Redis' clock was changed: its time is known only now
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
            claim=Claim.settled(int(claimed)),
            displaced=tuple(_text(id_) for id_ in displaced),
            crowded_out=tuple((int(crowded[i]), Claim.settled(int(crowded[i + 1]))) for i in range(0, len(crowded), 2)),
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
        """Give a seat back; no effect if it is free."""
        is_gone, count = await self._link.run_script(_LEAVE, _key(seat.chat_id), seat.user_id, seat.connection_id)
        return Left(last=is_gone == 1, count=count)

    async def clear_some(self, chat_id: int, node: str, cursor: str, entries: int) -> Cleared:
        """Free a dead node's seats of about so many users of a chat; "0" is the first cursor."""
        following, count, *gone = await self._link.run_script(_SWEEP, _key(chat_id), node, cursor, entries)
        users = tuple((int(gone[i]), _text(gone[i + 1])) for i in range(0, len(gone), 2))
        return Cleared(_text(following), count, users)

    async def users(self, chat_id: int) -> list[SeatedUser]:
        """All users with a seat in the chat, on any node."""
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
