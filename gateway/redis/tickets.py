"""Tickets in Redis, on its clock. Implements `gateway.interfaces.tickets.Tickets`.

GETDEL redeems a ticket only once, however many nodes try concurrently. Only a hash is stored, so read access to Redis
reveals no usable ticket. Tickets are random, so the hash needs neither a salt nor a slow algorithm.
"""

import hashlib
import secrets

from gateway.interfaces.tickets import LIFETIME_S, PREFIX
from gateway.redis.connection.command_client import CommandExecutor
from storage.auth_records import Credential

RANDOM_BYTES = 24
_ABSENT = ("0", "", "")
"""What a ticket lacks that a node of an earlier version has issued."""


class RedisTickets:
    """One-time tickets, valid on every node."""

    def __init__(self, link: CommandExecutor) -> None:
        self._link = link

    async def issue(self, credential: Credential) -> str:
        """Implement `Tickets.issue`."""
        ticket = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
        digests = (credential.jti_digest, credential.session_digest)
        words = (credential.user_id, credential.expires_at, credential.issued_at, *digests)
        await self._link.call("SET", _key(ticket), ":".join(map(str, words)), "EX", LIFETIME_S)
        return ticket

    async def redeem(self, ticket: str) -> Credential | None:
        """Implement `Tickets.redeem`."""
        stored: bytes | None = await self._link.call("GETDEL", _key(ticket))
        if stored is None:
            return None
        fields = stored.decode().split(":")
        user_id, expires_at, issued_at, jti, session = [*fields, *_ABSENT[len(fields) - 2 :]]
        return Credential(int(user_id), int(expires_at), int(issued_at), jti, session)


def _key(ticket: str) -> str:
    return "ticket:" + hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).hexdigest()
