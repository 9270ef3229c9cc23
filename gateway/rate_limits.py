"""Seam: how much a user may store per minute, over all nodes. `gateway.redis.rate_limits` meets it."""

from dataclasses import dataclass
from typing import Final, Protocol

from gateway.messages import RateLimited

WINDOW_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Admitted:
    """The message may be stored. `is_new`: it is counted now; otherwise the same entry was counted before."""

    is_new: bool


class RateLimits(Protocol):
    """An exact sliding window: in any WINDOW_S at most N stored messages per user."""

    async def admit(self, user_id: int, entry: str) -> Admitted | RateLimited:
        """Count a message, if there is room for it.

        `entry` names the message (chat and client_msg_id): the same entry again is not counted twice. Never raises:
        while Redis is away a local window of the same size decides.
        """
        ...

    def forget(self, user_id: int, entry: str) -> None:
        """A newly counted message was not stored after all: give its place back; never blocks."""
        ...
