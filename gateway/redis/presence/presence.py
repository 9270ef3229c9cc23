"""The users connected to each chat, over all nodes. Implements `gateway.interfaces.presence.Presence`.

Invariants (6, delivery.md 10): a seat names its node and counts only while that node's lease exists, which is the only
key that is refreshed; of a user's exclusive seats the one with the highest (claim, connection id) stays, and in a full
chat the users who came first; other nodes sweep the seats of a dead node (`sweeper`); seats that Redis lost are
asserted again with their claims (`reconciler`). All times are on Redis' clock: a seat taken while Redis was unavailable
is sent with its age.
"""

import time

from gateway.errors import RedisUnavailable
from gateway.interfaces.presence import Entered, Left, PresenceListener, Seat
from gateway.protocol.replies import Present
from gateway.redis.connection.command_client import CommandExecutor
from gateway.redis.connection.events import RedisEvents
from gateway.redis.presence.claims import SeatClaims
from gateway.redis.presence.lease import Lease
from gateway.redis.presence.local_seats import LocalSeat, LocalSeats
from gateway.redis.presence.reconciler import Reconciler
from gateway.redis.presence.sweeper import INTERVAL_S, Sweeper
from gateway.redis.presence.table import SeatTable


class RedisPresence:
    """The seats of all nodes. `keep`, `settle` and `sweep` are its owner tasks."""

    def __init__(
        self,
        link: CommandExecutor,
        node_id: str,
        events: RedisEvents,
        *,
        lease: Lease | None = None,
        sweep_interval_s: float = INTERVAL_S,
    ) -> None:
        self._link = link
        self._lease = lease or Lease(link, node_id)
        self._table = SeatTable(link)
        self._seats = LocalSeats()
        self._claimant = SeatClaims(link, self._lease, self._table)
        self._upkeep = Reconciler(link, self._lease, self._claimant, self._table, self._seats, events)
        self._sweeper = Sweeper(link, self._lease, self._table, events, interval_s=sweep_interval_s)

    @property
    def seats(self) -> int:
        """How many seats this node holds."""
        return len(self._seats)

    @property
    def doubtful(self) -> int:
        """How many of them are to be asserted again."""
        return len(self._seats.doubtful())

    async def enter(self, seat: Seat, *, reject_second: bool = False) -> Entered | None:
        """Implement `Presence.enter`. The seat is added before the first await, so that a cancellation can free it."""
        local = self._seats.add(seat)
        try:
            entered = await self._take(local, reject_second)
        except RedisUnavailable:
            local.late_since = time.monotonic()
            self._seats.doubt(local)
            self._upkeep.hurry()
            raise
        except BaseException:  # cancelled: the caller will not give the seat back, although Redis may have it
            self.give_up(seat)
            raise
        if entered is None:
            self._seats.remove(seat)
            self._upkeep.forget_chat(seat.chat_id)
        return entered

    async def _take(self, local: LocalSeat, reject: bool) -> Entered | None:
        answer, is_current = await self._claimant.take(local.seat, reject=reject)
        if not isinstance(answer, Entered):
            return None
        local.claim = answer.claim
        if not is_current:  # the lease was lost meanwhile
            self._seats.doubt(local)
            self._upkeep.hurry()
        return answer

    async def leave(self, seat: Seat) -> Left:
        """Implement `Presence.leave`."""
        self._seats.remove(seat)
        try:
            left = await self._table.free(seat)
        except BaseException:
            self.give_up(seat)
            raise
        self._upkeep.forget_chat(seat.chat_id)
        return left

    async def loosen(self, seat: Seat) -> None:
        """Implement `Presence.loosen`."""
        local = self._seats.loosen(seat)
        if local is None:
            return  # it was taken over meanwhile
        try:
            _, is_current = await self._claimant.take(local.seat, claim=local.claim_or_age())
        except RedisUnavailable:
            is_current = False
        if not is_current and self._seats.holds(local):
            self._seats.doubt(local)
            self._upkeep.hurry()

    def give_up(self, seat: Seat) -> None:
        """Implement `Presence.give_up`, also for a seat of which it is unknown whether Redis has it."""
        self._seats.remove(seat)
        self._upkeep.owe(seat)

    async def members(self, chat_id: int) -> list[Present]:
        """The present users, longest first; seats of dead nodes are ignored."""
        users = await self._table.users(chat_id)
        alive = await self._lease.alive({node for user in users for node, _ in user.seats})
        present = []
        for user in users:
            since = [claim // 1_000_000 for node, claim in user.seats if node in alive]
            if since:
                present.append(Present(user.user_id, user.username, min(since)))
        return sorted(present, key=lambda user: (user.connected_at, user.user_id))

    def check_soon(self) -> None:
        """Check the contested seats, because a takeover may be among missed publications."""
        self._seats.doubt_all(contested_only=True)
        self._upkeep.hurry()

    def assert_all_soon(self) -> None:
        """Assert all seats: a cluster may lose seats but not the lease, which is on another master."""
        self._seats.doubt_all()
        self._upkeep.hurry()

    async def stop(self, linger_s: float) -> None:
        """Give up all seats: others sweep them after `linger_s`, unless their users reconnect first."""
        self._seats.clear()
        try:
            await self._lease.shorten(linger_s)
        except RedisUnavailable:
            return  # the lease then expires after its normal time

    async def keep(self) -> None:
        """Renew this node's lease until cancelled."""
        await self._upkeep.keep()

    async def settle(self, listener: PresenceListener) -> None:
        """Update Redis to match this node's seats until cancelled."""
        await self._upkeep.settle(listener)

    async def sweep(self, listener: PresenceListener) -> None:
        """Clear the seats of dead nodes until cancelled."""
        await self._sweeper.run(listener)
