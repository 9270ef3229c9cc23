"""Limits on calls that need no account: one client cannot make a process sign, verify and write without end."""

from collections.abc import Callable, Collection
from typing import Final

from starlette.requests import Request

from auth.accounts.counters import Counters, Limit
from auth.api import problems
from auth.events import LimitedCall
from httpapi.client_address import Network, client_address, networks_of

CALLS_PER_MINUTE: Final = 120
"""Of each kind, from an IPv4 address or an IPv6 /64, over all processes."""


class ClientLimits:
    """The limits; `on_limited` is called with the kind of each call that is refused."""

    def __init__(
        self,
        counters: Counters,
        trusted_proxies: Collection[Network],
        on_limited: Callable[[LimitedCall], None] = lambda _: None,
    ) -> None:
        self._counters = counters
        self._trusted = trusted_proxies
        self._on_limited = on_limited

    async def count(self, request: Request, call: LimitedCall) -> None:
        """Count a call of its client.

        Raises: Problem (429).
        """
        client = networks_of(client_address(request, self._trusted))[0]
        if wait_s := await self._counters.count(Limit(f"{call}:{client}", CALLS_PER_MINUTE)):
            self._on_limited(call)
            raise problems.too_many_calls(wait_s)
