"""Seam: how much a user may store per minute, over all nodes. `gateway.redis.rate_limits` meets it."""

from typing import Protocol


class RateLimits(Protocol):
    """An exact sliding window: in any 60 s at most N stored messages per user."""

    async def admit(self, user_id: int, entry: str) -> float | None:
        """None if the message may be stored, and is now counted; else the seconds until one may.

        `entry` names the message (chat and client_msg_id): the same entry again is not counted twice. Never raises:
        while Redis is away a local window of the same size decides.
        """
        ...

    def forget(self, user_id: int, entry: str) -> None:
        """The message was not stored after all (or was a retry): give its place back; never blocks."""
        ...
