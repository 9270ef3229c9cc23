"""In-memory tickets of one process, for tests without Redis."""

import itertools

from gateway.errors import RedisUnavailable
from gateway.interfaces.tickets import PREFIX
from storage.auth_records import Credential


class MemoryTickets:
    """Meets `gateway.interfaces.tickets.Tickets`; nothing expires, and `is_down` is an outage."""

    def __init__(self) -> None:
        self.is_down = False
        self._tickets: dict[str, Credential] = {}
        self._numbers = itertools.count(1)

    async def issue(self, credential: Credential) -> str:
        """See `Tickets`."""
        ticket = f"{PREFIX}{next(self._numbers)}"
        self._tickets[ticket] = credential
        return ticket

    async def redeem(self, ticket: str) -> Credential | None:
        """See `Tickets`."""
        if self.is_down:
            raise RedisUnavailable
        return self._tickets.pop(ticket, None)
