"""Seam: one-use tickets, which may stand wherever a token may. `gateway.redis.tickets` meets it.

A ticket is for links: a URL is seen by proxies, histories and screens, where a token would be good for its whole life.
"""

from dataclasses import dataclass
from typing import Final, Protocol

PREFIX: Final = "tkt_"
"""What every ticket starts with, and no token does: a JWT starts with `ey`, base64url of `{"`."""
LIFETIME_S: Final = 30


@dataclass(frozen=True, slots=True)
class Redeemed:
    """Whose a ticket was, and until when it lets in: as long as the token that bought it (Unix seconds)."""

    user_id: int
    expires_at: int


class Tickets(Protocol):
    """Tickets that any node issues and any node redeems. Both methods answer within about a second."""

    async def issue(self, user_id: int, expires_at: int) -> str:
        """A ticket that is good once, for LIFETIME_S: PREFIX and URL-safe characters.

        Raises: RedisUnavailable.
        """
        ...

    async def redeem(self, ticket: str) -> Redeemed | None:
        """Take the ticket: of any number of callers on any nodes one gets it. None if it is unknown, used or too old.

        Raises: RedisUnavailable; the ticket may be used up then.
        """
        ...


def is_ticket(credential: str) -> bool:
    """Whether this is to be redeemed, and not verified as a token."""
    return credential.startswith(PREFIX)
