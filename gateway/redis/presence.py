"""Who is connected where, over all nodes. Meets `gateway.presence.Presence`.

Invariants (6, delivery.md 10): all time is Redis' own; an entry names its node and counts only as long as that node's
lease, which is the one key that is refreshed; of a user's exclusive seats the higher (claim, connection id) stays; what
a dead node leaves behind is swept by the others, and its users' leaving told.
"""

import asyncio
import logging
from typing import Any

import orjson

from gateway.errors import RedisUnavailable
from gateway.messages import Present
from gateway.presence import Entered, Left, PresenceListener, Seat
from gateway.redis.events import RedisEvents
from gateway.redis.lease import NODES, Lease, chats_key, swept_key
from gateway.redis.link import Link, Script

SEAT_TTL_S = 7 * 24 * 3600
"""A backstop: far longer than a token lives, so that no connection outlasts it."""
SWEEP_INTERVAL_S = 5.0
SWEEP_CLAIM_MS = 30_000
REASSERT_BATCH = 200

_ENTER = Script("presence_enter")
_LEAVE = Script("presence_leave")
_SWEEP = Script("presence_sweep")

logger = logging.getLogger("gateway.redis")


class RedisPresence:
    """The seats of all nodes; those of this node are also kept here, to be asserted again after a loss of Redis."""

    def __init__(
        self,
        link: Link,
        node_id: str,
        events: RedisEvents,
        *,
        lease: Lease | None = None,
        sweep_interval_s: float = SWEEP_INTERVAL_S,
    ) -> None:
        self._link = link
        self._node_id = node_id
        self._events = events
        self._lease = lease or Lease(link, node_id)
        self._sweep_interval_s = sweep_interval_s
        self._seats: dict[tuple[int, str], tuple[Seat, str]] = {}
        """This node's seats with their claims ("" while Redis has not given one), by chat and connection."""
        self._chats: dict[int, int] = {}

    # --- seats

    async def enter(self, seat: Seat, *, reject_second: bool = False) -> Entered | None:
        """Take the seat; None if `reject_second` and the user holds a live exclusive one."""
        key = seat.chat_id, seat.connection_id
        self._seats[key] = seat, ""
        self._chats[seat.chat_id] = self._chats.get(seat.chat_id, 0) + 1
        if self._chats[seat.chat_id] == 1:
            self._link.send("SADD", chats_key(self._node_id), seat.chat_id)
        answer = await self._enter(seat, "", reject_second=reject_second)
        if answer[0] == -1 and not await self._lease.is_alive(_text(answer[1])):
            answer = await self._enter(seat, "", reject_second=True, dead_node=_text(answer[1]))
        if answer[0] == -1:
            self._drop(seat)
            return None
        claim = _text(answer[2])
        if key in self._seats:
            self._seats[key] = seat, claim
        return Entered(
            first=answer[0] == 1, count=answer[1], claim=int(claim), displaced=tuple(_text(id_) for id_ in answer[3:])
        )

    async def _enter(self, seat: Seat, claim: str, *, reject_second: bool, dead_node: str = "") -> list[Any]:
        answer: list[Any] = await self._link.run_script(
            _ENTER,
            _key(seat.chat_id),
            seat.user_id,
            seat.username,
            seat.connection_id,
            self._node_id,
            int(seat.exclusive),
            claim,
            dead_node,
            SEAT_TTL_S,
            int(reject_second),
        )
        return answer

    async def leave(self, seat: Seat) -> Left:
        """Give the seat back."""
        self._drop(seat)
        gone, count = await self._link.run_script(_LEAVE, _key(seat.chat_id), seat.user_id, seat.connection_id)
        return Left(last=gone == 1, count=count)

    def _drop(self, seat: Seat) -> None:
        if self._seats.pop((seat.chat_id, seat.connection_id), None) is None:
            return
        self._chats[seat.chat_id] -= 1
        if not self._chats[seat.chat_id]:
            del self._chats[seat.chat_id]
            self._link.send("SREM", chats_key(self._node_id), seat.chat_id)

    async def members(self, chat_id: int) -> list[Present]:
        """Users present now, longest first, seats of dead nodes left out."""
        entries: list[bytes] = await self._link.call("HGETALL", _key(chat_id))
        users = [(int(entries[i]), orjson.loads(entries[i + 1])) for i in range(0, len(entries), 2)]
        nodes = {seat[0] for _, user in users for seat in user["s"].values()}
        alive = {node for node in nodes if node == self._node_id or await self._lease.is_alive(node)}
        present = []
        for user_id, user in users:
            since = [int(seat[1]) for seat in user["s"].values() if seat[0] in alive]
            if since:
                present.append(Present(user_id, user["n"], min(since)))
        return sorted(present, key=lambda present: (present.connected_at, present.user_id))

    # --- this node's lease

    async def keep(self, listener: PresenceListener) -> None:
        """Hold this node's lease for ever; after a loss of Redis, assert every seat again as it was."""
        while True:
            await self._link.connected.wait()
            if await self._lease.renew():
                self._events.happened("lease_lost")
                await self._reassert(listener)
            await asyncio.sleep(self._lease.interval_s)

    async def _reassert(self, listener: PresenceListener) -> None:
        seats = list(self._seats.items())
        if not seats:
            return
        logger.warning("presence_reasserted", extra={"fields": {"seats": len(seats)}})
        try:
            was_swept = await self._link.call("GETDEL", swept_key(self._node_id)) is not None
            for start in range(0, len(seats), REASSERT_BATCH):
                batch = [entry for key, entry in seats[start : start + REASSERT_BATCH] if key in self._seats]
                await asyncio.gather(*(self._reassert_one(*entry, listener, was_swept) for entry in batch))
        except RedisUnavailable:
            self._lease.forget()  # try again with the next renewal

    async def _reassert_one(self, seat: Seat, claim: str, listener: PresenceListener, was_swept: bool) -> None:
        self._link.send("SADD", chats_key(self._node_id), seat.chat_id)
        answer = await self._enter(seat, claim, reject_second=False)
        key = seat.chat_id, seat.connection_id
        if answer[0] == -2:
            listener.on_displaced(seat)
        elif key not in self._seats:  # it left while this was under way
            await self._link.run_script(_LEAVE, _key(seat.chat_id), seat.user_id, seat.connection_id)
        else:
            self._seats[key] = seat, _text(answer[2])
            if answer[0] == 1 and was_swept:
                listener.on_present(seat, answer[1])

    async def stop(self, linger_s: float) -> None:
        """This node is leaving: its seats are swept by the others in `linger_s`, unless their users come back first."""
        await self._lease.shorten(linger_s)

    # --- other nodes' leases

    async def sweep(self, listener: PresenceListener) -> None:
        """Look for dead nodes for ever, and clear what they left."""
        while True:
            await asyncio.sleep(self._sweep_interval_s)
            try:
                for node in await self._link.call("SMEMBERS", NODES):
                    if not await self._lease.is_alive(_text(node)):
                        await self._sweep_node(_text(node), listener)
            except RedisUnavailable:
                continue

    async def _sweep_node(self, node: str, listener: PresenceListener) -> None:
        if await self._link.call("SET", f"sweeping:{node}", self._node_id, "NX", "PX", SWEEP_CLAIM_MS) is None:
            return  # another node is at it
        logger.warning("node_swept", extra={"fields": {"dead_node": node}})
        self._events.happened("node_swept")
        await self._link.call("SET", swept_key(node), 1, "PX", 3_600_000)
        for chat in await self._link.call("SMEMBERS", chats_key(node)):
            chat_id = int(chat)
            count, *gone = await self._link.run_script(_SWEEP, _key(chat_id), node)
            for i in range(0, len(gone), 2):
                listener.on_gone(chat_id, int(gone[i]), _text(gone[i + 1]), count)
        if not await self._lease.is_alive(node):
            await self._link.call("DEL", chats_key(node))
            await self._link.call("SREM", NODES, node)


def _key(chat_id: int) -> str:
    return f"presence:{chat_id}"


def _text(value: bytes) -> str:
    return value.decode()
