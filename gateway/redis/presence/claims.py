"""Takes seats for this node, ignoring those that dead nodes left behind."""

from gateway.interfaces.presence import Entered, Seat
from gateway.redis.connection.command_client import CommandExecutor
from gateway.redis.presence.lease import Lease, chats_key
from gateway.redis.presence.table import KeptAway, SeatTable


class SeatClaims:
    """Takes every seat of this node, for the first time or again."""

    def __init__(self, link: CommandExecutor, lease: Lease, table: SeatTable) -> None:
        self._link = link
        self._lease = lease
        self._table = table

    async def take(
        self, seat: Seat, *, claim: int | None = None, reject: bool = False
    ) -> tuple[Entered | KeptAway, bool]:
        """Take a seat as `SeatTable.take` does, where only seats of living nodes can reject it.

        The flag is True if the seat carries the name of this node's current lease.

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
