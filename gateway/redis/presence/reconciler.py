"""Updates Redis to match this node's seats: renews the lease, and asserts seats that Redis may have lost.

A doubtful seat is asserted again with its old claim. All seats become doubtful when the lease was lost (FLUSHALL, a
restart, a long stall), one seat when a call failed, and all in turn once per ROUND_S. The latter also renews their TTL,
repairs what a failover lost, and detects seats with precedence whose notification was missed.
"""

import asyncio
import logging
import random
from collections.abc import Iterator

from msgspec.structs import replace

from gateway.errors import RedisUnavailable
from gateway.interfaces.presence import Entered, PresenceListener, Seat
from gateway.redis.connection.command_client import CommandExecutor
from gateway.redis.connection.events import RedisEvents
from gateway.redis.presence.claims import SeatClaims
from gateway.redis.presence.lease import Lease, chats_key, swept_key
from gateway.redis.presence.local_seats import LocalSeat, LocalSeats
from gateway.redis.presence.table import KeptAway, SeatTable

ROUND_S = 600.0
"""Every seat is asserted once in this time, even without a failure."""
BATCH = 100
"""Seats that one turn of the event loop asserts or gives back, 40 µs each."""
BATCHES = 3
"""Batches of assertions that are under way: Redis works on one while this node prepares the next."""

logger = logging.getLogger("gateway.redis")


class Reconciler:
    """`keep` and `settle` are its owner tasks."""

    def __init__(
        self,
        link: CommandExecutor,
        lease: Lease,
        claimant: SeatClaims,
        table: SeatTable,
        seats: LocalSeats,
        events: RedisEvents,
    ) -> None:
        self._link = link
        self._lease = lease
        self._claimant = claimant
        self._table = table
        self._seats = seats
        self._events = events
        self._due = asyncio.Event()
        self._returned: list[tuple[LocalSeat, Entered]] = []
        """Seats asserted again whose users were announced as gone, if the lost lease was swept."""

    async def keep(self) -> None:
        """Renew this node's lease until cancelled; mark every seat as doubtful when it was lost."""
        while True:
            await self._link.connected.wait()
            try:
                if not await self._lease.renew():
                    self._on_new_lease()
            except RedisUnavailable:
                pass  # the lease lasts three intervals
            await asyncio.sleep(self._lease.interval_s * random.uniform(0.9, 1.0))  # noqa: S311 - spreads load

    def _on_new_lease(self) -> None:
        if self._lease.lost:
            self._events.happened("lease_lost")
            logger.warning("lease_lost", extra={"fields": {"seats": len(self._seats)}})
        self._seats.doubt_all()
        self.hurry()

    def hurry(self) -> None:
        """Wake `settle`."""
        self._due.set()

    def owe(self, seat: Seat) -> None:
        """Give a seat back later. If too many are owed, abandon the lease, so that sweepers clear its seats."""
        if not self._seats.owe(seat):
            self._seats.owe_nothing()
            self._lease.abandon()
            self._events.happened("lease_abandoned")
            logger.warning("lease_abandoned")
        self.hurry()

    async def settle(self, listener: PresenceListener) -> None:
        """Give back owed seats and assert doubtful ones until cancelled."""
        interval_s = self._lease.interval_s
        while True:
            await self._link.connected.wait()
            self._due.clear()
            try:
                await self._give_back(listener)
                await self._assert(listener)
            except RedisUnavailable:
                self._due.set()
                await asyncio.sleep(interval_s / 10)
            try:
                async with asyncio.timeout(interval_s):
                    await self._due.wait()
                # If Redis lost the seats of all nodes at once, the nodes should not all assert them at the same moment.
                await asyncio.sleep(random.uniform(0, interval_s / 10))  # noqa: S311 - spreads load
            except TimeoutError:
                self._seats.doubt_some(interval_s / ROUND_S)

    async def _give_back(self, listener: PresenceListener) -> None:
        while owed := self._seats.owed(BATCH):
            await asyncio.gather(*(self._give_one_back(seat, listener) for seat in owed))

    async def _give_one_back(self, seat: Seat, listener: PresenceListener) -> None:
        left = await self._table.free(seat)
        self._seats.settle(seat)
        self.forget_chat(seat.chat_id)
        if left.last:
            listener.on_gone(seat.chat_id, seat.user_id, seat.username, left.count)

    def forget_chat(self, chat_id: int) -> None:
        """Remove a chat from the node's set of chats to sweep, once the node has no seat there."""
        if not self._seats.is_in(chat_id) and not self._lease.is_abandoned:
            self._link.send("SREM", chats_key(self._lease.name), chat_id)

    async def _assert(self, listener: PresenceListener) -> None:
        while doubtful := self._seats.doubtful():
            batches = (doubtful[start : start + BATCH] for start in range(0, len(doubtful), BATCH))
            is_unavailable = False
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(BATCHES):
                        group.create_task(self._assert_batches(batches, listener))
            except* RedisUnavailable:
                is_unavailable = True
            if is_unavailable:  # raised above, Python before 3.11.4 would wrap it in a group
                raise RedisUnavailable
        if not self._lease.lost:
            return
        # Only after all assertions: a sweep that begins later finds no seats of this node under the lost name.
        lost = sorted(self._lease.lost)
        swept = await asyncio.gather(*(self._link.call("GETDEL", swept_key(name)) for name in lost))
        self._lease.lost.difference_update(lost)
        returned, self._returned = self._returned, []
        for place, (local, entered) in enumerate(returned if any(swept) else ()):
            if place % BATCH == 0:
                await asyncio.sleep(0)
            if self._seats.holds(local):
                listener.on_entered(local.seat, entered)

    async def _assert_batches(self, batches: Iterator[list[LocalSeat]], listener: PresenceListener) -> None:
        for batch in batches:
            lease = self._claimant.list_chats([local.seat for local in batch])
            await asyncio.gather(*(self._assert_one(local, lease, listener) for local in batch))

    async def _assert_one(self, local: LocalSeat, lease: str, listener: PresenceListener) -> None:
        seat = local.seat
        if not self._seats.is_doubtful(local):
            return  # it was given back while others were asserted
        entered, is_current = await self._claimant.take(seat, claim=local.claim_or_age(), listed_by=lease)
        if not self._seats.holds(local):
            self.owe(seat)  # it was given back during the call
            return
        if is_current:
            self._seats.trust(local)
        if isinstance(entered, KeptAway):
            self._seats.remove(seat)
            self.forget_chat(seat.chat_id)
            listener.on_displaced(seat)
        elif local.late_since is not None:
            local.claim, local.late_since = entered.claim, None
            listener.on_entered(seat, entered)
        elif entered.displaced or entered.crowded_out:
            listener.on_entered(seat, replace(entered, first=False))
        elif entered.first and self._lease.lost:
            self._returned.append((local, entered))
