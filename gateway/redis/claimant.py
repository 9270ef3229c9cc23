"""Takes seats for this node, past those that dead nodes have left behind."""

from gateway.presence import Entered, Seat
from gateway.redis.lease import Lease, chats_key
from gateway.redis.link import Commands
from gateway.redis.seat_table import KeptAway, SeatTable


class Claimant:
    """Every seat of the node is taken here, whether for the first time or again."""

    def __init__(self, link: Commands, lease: Lease, table: SeatTable) -> None:
        self._link = link
        self._lease = lease
        self._table = table

    async def take(
        self, seat: Seat, *, claim: int | None = None, reject: bool = False
    ) -> tuple[Entered | KeptAway, bool]:
        """What came of it, as `SeatTable.take` says, where only living nodes' seats keep one away; and whether the seat
        bears the name of the lease that the node has now.

        Raises: RedisUnavailable.
        """
        dead: set[str] = set()
        while True:
            node = self._lease.name
            self._link.send("SADD", chats_key(node), seat.chat_id)
            answer = await self._table.take(seat, node, claim=claim, reject=reject, dead=dead)
            if isinstance(answer, KeptAway):
                fallen = answer.nodes - await self._lease.alive(set(answer.nodes))
                if fallen:
                    dead |= fallen
                    continue
            return answer, node == self._lease.name
