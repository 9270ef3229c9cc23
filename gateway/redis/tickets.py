"""Tickets in Redis, on its clock. Meets `gateway.tickets.Tickets`.

GETDEL gives a ticket to one caller alone, however many nodes ask at once. What is stored is a hash: whoever reads our
Redis finds nothing to come in with. Tickets are random, so the hash needs no salt and no cost.
"""

import hashlib
import secrets

from gateway.redis.link import Commands
from gateway.tickets import LIFETIME_S, PREFIX, Redeemed

RANDOM_BYTES = 24


class RedisTickets:
    """One-use tickets over all nodes."""

    def __init__(self, link: Commands) -> None:
        self._link = link

    async def issue(self, user_id: int, expires_at: int) -> str:
        """See `Tickets`."""
        ticket = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
        await self._link.call("SET", _key(ticket), f"{user_id}:{expires_at}", "EX", LIFETIME_S)
        return ticket

    async def redeem(self, ticket: str) -> Redeemed | None:
        """See `Tickets`."""
        stored: bytes | None = await self._link.call("GETDEL", _key(ticket))
        if stored is None:
            return None
        user_id, expires_at = map(int, stored.split(b":"))
        return Redeemed(user_id, expires_at)


def _key(ticket: str) -> str:
    return "ticket:" + hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).hexdigest()
