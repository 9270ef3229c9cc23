"""Takes seats for this node, ignoring those that dead nodes left behind."""

from collections.abc import Collection

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
        self, seat: Seat, *, claim: int | None = None, reject: bool = False, listed_by: str = ""
    ) -> tuple[Entered | KeptAway, bool]:
        """Take a seat as `SeatTable.take` does, where only seats of living nodes can reject it.

        The flag is True if the seat carries the name of this node's current lease. `listed_by` is the lease by which
        `list_chats` has listed the chat, if it was called.

        Raises: RedisUnavailable.
        """
        dead: set[str] = set()
        while True:
            node = self._lease.name
            if node != listed_by:
                self.list_chats([seat])
            answer = await self._table.take(seat, node, claim=claim, reject=reject, dead=dead)
            if isinstance(answer, KeptAway):
                fallen = answer.nodes - await self._lease.alive(set(answer.nodes))
                if fallen:
                    dead |= fallen
                    continue
            return answer, node == self._lease.name

    def list_chats(self, seats: Collection[Seat]) -> str:
        """Add the chats to those that sweepers clear if this node dies; the name of the lease that they belong to."""
        node = self._lease.name
        self._link.send("SADD", chats_key(node), *{seat.chat_id for seat in seats})
        return node
