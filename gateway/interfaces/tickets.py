"""Single-use tickets, which are accepted wherever a token is. Implemented by `gateway.redis.tickets`.

A ticket is for URLs: proxies, browser histories and screens expose them, and a token in a URL would stay valid until it
expires.
"""

from typing import Final, Protocol

from storage.auth_records import Credential

PREFIX: Final = "tkt_"
"""The prefix of every ticket and of no token: a JWT starts with `ey`, the base64url encoding of `{"`."""
LIFETIME_S: Final = 30


class Tickets(Protocol):
    """Tickets that any node issues and any node redeems. Both methods return within about a second."""

    async def issue(self, credential: Credential) -> str:
        """Issue a ticket for a user's credential that is valid once, for LIFETIME_S: PREFIX and URL-safe characters.

        Raises: RedisUnavailable.
        """
        ...

    async def redeem(self, ticket: str) -> Credential | None:
        """Redeem the ticket for the credential that it was issued for; None if it is unknown, used or expired.

        Of concurrent callers on any nodes one succeeds.

        Raises: RedisUnavailable; the ticket may be used up nevertheless.
        """
        ...


def is_ticket(credential: str) -> bool:
    """Whether the credential is a ticket, to be redeemed, rather than a token."""
    return credential.startswith(PREFIX)
