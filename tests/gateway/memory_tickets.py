"""Tickets of one process, for what plays no part in Redis."""

import itertools

from gateway.errors import RedisUnavailable
from gateway.tickets import PREFIX, Redeemed


class MemoryTickets:
    """Meets `gateway.tickets.Tickets`; nothing expires, and `is_down` is an outage."""

    def __init__(self) -> None:
        self.is_down = False
        self._tickets: dict[str, Redeemed] = {}
        self._numbers = itertools.count(1)

    async def issue(self, user_id: int, expires_at: int) -> str:
        """See `Tickets`."""
        ticket = f"{PREFIX}{next(self._numbers)}"
        self._tickets[ticket] = Redeemed(user_id, expires_at)
        return ticket

    async def redeem(self, ticket: str) -> Redeemed | None:
        """See `Tickets`."""
        if self.is_down:
            raise RedisUnavailable
        return self._tickets.pop(ticket, None)
