"""When a seat was taken: decides which of several seats stays."""

import time
from typing import Self

from msgspec import Struct


class Claim(Struct, frozen=True, gc=False, order=True):
    """When a seat was taken; the later of two claims is higher.

    A settled claim is a time on Redis' clock, in µs. An unsettled one, on this node's own clock, belongs to a seat that
    Redis does not have yet. It is higher than every settled claim and every earlier one of this node. So the newest
    seat on the node wins; seats of other nodes are not affected before Redis has compared the claims.
    """

    is_unsettled: bool
    us: int

    @classmethod
    def settled(cls, us: int) -> Self:
        """The claim that Redis gave a seat."""
        return cls(is_unsettled=False, us=us)

    @classmethod
    def unsettled(cls) -> Self:
        """The claim of a seat that is taken now, while Redis is unavailable."""
        return cls(is_unsettled=True, us=time.monotonic_ns() // 1000)

    @property
    def settled_us(self) -> int:
        """The time on Redis' clock, as nodes send it to each other.

        Raises: ValueError for an unsettled claim, which has no meaning on another node.
        """
        if self.is_unsettled:
            raise ValueError("an unsettled claim has no time on Redis' clock")
        return self.us
