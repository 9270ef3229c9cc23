"""Who is connected where, over all nodes. Meets `gateway.presence.Presence`.

Invariants (6, delivery.md 10): an entry names its node and counts only as long as that node's lease, which is the one
key that is refreshed; of a user's exclusive seats the higher (claim, connection id) stays, and in a full chat those of
the users who came first; what a dead node leaves behind is swept by the others (`sweeper`); what Redis lost is asserted
again as it was (`upkeep`). All time is Redis' own: a seat that was taken while Redis was away says how long ago.
"""

import time

from gateway.errors import RedisUnavailable
from gateway.messages import Present
from gateway.presence import Entered, Left, PresenceListener, Seat
from gateway.redis.claimant import Claimant
from gateway.redis.events import RedisEvents
from gateway.redis.lease import Lease
from gateway.redis.link import Commands
from gateway.redis.local_seats import LocalSeat, LocalSeats
from gateway.redis.seat_table import SeatTable
from gateway.redis.sweeper import INTERVAL_S, Sweeper
from gateway.redis.upkeep import Upkeep


class RedisPresence:
    """The seats of all nodes. `keep`, `settle` and `sweep` are its owner tasks."""

    def __init__(
        self,
        link: Commands,
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
        self._claimant = Claimant(link, self._lease, self._table)
        self._upkeep = Upkeep(link, self._lease, self._claimant, self._table, self._seats, events)
        self._sweeper = Sweeper(link, self._lease, self._table, events, interval_s=sweep_interval_s)

    @property
    def seats(self) -> int:
        """How many seats this node holds."""
        return len(self._seats)

    async def enter(self, seat: Seat, *, reject_second: bool = False) -> Entered | None:
        """See `Presence`. The seat is known here before the first await, so that nothing gets lost on the way."""
        local = self._seats.add(seat)
        try:
            entered = await self._take(local, reject_second)
        except RedisUnavailable:
            local.late_since = time.monotonic()
            self._seats.doubt(local)
            self._upkeep.hurry()
            raise
        except BaseException:  # cancelled: nobody will give the seat back, if it was taken
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
        """See `Presence`."""
        self._seats.remove(seat)
        try:
            left = await self._table.free(seat)
        except BaseException:
            self.give_up(seat)
            raise
        self._upkeep.forget_chat(seat.chat_id)
        return left

    async def loosen(self, seat: Seat) -> None:
        """See `Presence`."""
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
        """See `Presence`: we may not know whether Redis has it."""
        self._seats.remove(seat)
        self._upkeep.owe(seat)

    async def members(self, chat_id: int) -> list[Present]:
        """Users present now, longest first, seats of dead nodes left out."""
        users = await self._table.users(chat_id)
        alive = await self._lease.alive({node for user in users for node, _ in user.seats})
        present = []
        for user in users:
            since = [claim // 1_000_000 for node, claim in user.seats if node in alive]
            if since:
                present.append(Present(user.user_id, user.username, min(since)))
        return sorted(present, key=lambda user: (user.connected_at, user.user_id))

    def check_soon(self) -> None:
        """Publications may have been missed, takeovers among them: look who has the contested seats."""
        self._seats.doubt_all(contested_only=True)
        self._upkeep.hurry()

    def assert_all_soon(self) -> None:
        """Redis may have lost seats though not the lease: in a cluster they are on different masters."""
        self._seats.doubt_all()
        self._upkeep.hurry()

    async def stop(self, linger_s: float) -> None:
        """This node is leaving: its seats are swept by the others in `linger_s`, unless their users come back first."""
        self._seats.clear()
        try:
            await self._lease.shorten(linger_s)
        except RedisUnavailable:
            return  # then the lease runs out by itself

    async def keep(self) -> None:
        """Hold this node's lease, for ever."""
        await self._upkeep.keep()

    async def settle(self, listener: PresenceListener) -> None:
        """Bring Redis in line with this node's seats, for ever."""
        await self._upkeep.settle(listener)

    async def sweep(self, listener: PresenceListener) -> None:
        """Clear what dead nodes left, for ever."""
        await self._sweeper.run(listener)
