"""Limits on registrations: attempts per client in a minute and in an hour, counted before a password is hashed."""

from typing import Final

from auth.accounts.counters import MINUTE_S, Counters, Limit
from httpapi.client_address import networks_of

HOUR_S: Final = 3600.0
PER_HOUR: Final = 5
"""How many times a minute's limit fits into the limit of an hour."""
WIDER: Final = (1, 2, 4)
"""How many times the limit of an IPv6 /64 fits into that of a /64, a /56 and a /48."""


class RegistrationLimits:
    """At most `per_minute` attempts of one client in a minute, successful or not; never raises."""

    def __init__(self, counters: Counters, per_minute: int) -> None:
        self._counters = counters
        self._per_minute = per_minute

    async def count(self, address: str) -> float:
        """Count an attempt; the seconds to wait if it is refused, else 0.0."""
        for client, wider in zip(networks_of(address), WIDER, strict=False):
            most = self._per_minute * wider
            for limit in (
                Limit(f"register:minute:{client}", most, MINUTE_S),
                Limit(f"register:hour:{client}", most * PER_HOUR, HOUR_S),
            ):
                if wait_s := await self._counters.count(limit):
                    return wait_s
        return 0.0
