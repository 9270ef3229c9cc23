"""Limits per minute of HTTP requests, by their cost and their caller: a user, a service key, or else an address.

A request counts for its user once the token is verified, before any query; without a user it counts for the address,
and one that is rejected for its credentials counts after that. The buckets are shared by all nodes.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import wraps
from http import HTTPStatus
from typing import Final

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.http.costs import COSTS, Cost
from gateway.http.slow_refusals import SlowRefusals
from gateway.interfaces.rate_limits import CallerBuckets, Exhausted, Take
from gateway.protocol.codes import ErrorCode
from httpapi.client_address import Network, client_address, networks_of
from httpapi.errors import Problem, retry_later
from httpapi.operation import Audience, Operation
from httpapi.resource import Handler, resource
from httpapi.service_keys import ServiceKeys

WINDOW_S: Final = 60.0
SERVICE_FACTOR: Final = 10
"""How many times a user's limits a service key has."""
_CALL: Final = "chat_gateway.call"
_WITH_TOKEN: Final = frozenset({Audience.USER, Audience.USER_OR_SERVICE})


class CallerKind(StrEnum):
    """Whose limit it is."""

    USER = "user"
    SERVICE = "service"
    ADDRESS = "address"


class CallLimit(StrEnum):
    """What is limited; a value is the name of its bucket and a label of the metric."""

    REQUESTS = "requests"
    LISTS = "lists"
    CHATS = "chats"
    MEMBERS = "members"


@dataclass(frozen=True, slots=True)
class CallRates:
    """Amounts per minute of one user; 0 is no limit."""

    requests: int = 0
    lists: int = 0
    chats: int = 0
    members: int = 0

    def of(self, kind: CallerKind, limit: CallLimit) -> int:
        """The amount for a caller of this kind; of an address only requests count, since it reads and adds nothing."""
        if kind is CallerKind.ADDRESS and limit is not CallLimit.REQUESTS:
            return 0
        rate: int = getattr(self, limit)
        return rate * SERVICE_FACTOR if kind is CallerKind.SERVICE else rate


_AT_ONCE: Final[Mapping[Cost, Mapping[CallLimit, int]]] = {
    Cost.LIST: {CallLimit.REQUESTS: 1, CallLimit.LISTS: 1},
    Cost.REQUEST: {CallLimit.REQUESTS: 1},
    Cost.MESSAGES: {CallLimit.REQUESTS: 1},
    Cost.ADD_MEMBERS: {CallLimit.REQUESTS: 1},
    Cost.CREATE_CHAT: {CallLimit.REQUESTS: 1},
}
"""What counts before the body is read; `count_rows` and `count_requests` count the rest."""
_LATER: Final[Mapping[Cost, Mapping[CallLimit, int]]] = {
    Cost.ADD_MEMBERS: {CallLimit.MEMBERS: 1},
    Cost.CREATE_CHAT: {CallLimit.CHATS: 1, CallLimit.MEMBERS: 1},
}
"""The least that `count_rows` will count: a caller for whom this is refused until a known time needs no query."""
_DETAILS: Final = {
    CallLimit.REQUESTS: "You have sent too many requests, please wait.",
    CallLimit.LISTS: "You have read too many lists, please wait.",
    CallLimit.CHATS: "You have created too many chats, please wait.",
    CallLimit.MEMBERS: "You have added too many members, please wait.",
}


_Amounts = Mapping[CallLimit, int]
_Taker = Callable[[CallerKind, str, _Amounts, _Amounts], Awaitable[None]]


class CallLimits:
    """Counts the requests of one node's routes; `on_limited` is called with the limit and the caller's kind."""

    def __init__(
        self,
        rates: CallRates,
        buckets: CallerBuckets,
        service_keys: ServiceKeys,
        trusted_proxies: Sequence[Network],
        slow_refusals: SlowRefusals,
        on_limited: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        self._rates = rates
        self._buckets = buckets
        self._service_keys = service_keys
        self._trusted_proxies = trusted_proxies
        self._slow_refusals = slow_refusals
        self._on_limited = on_limited

    def over(self, routes: Sequence[BaseRoute]) -> list[BaseRoute]:
        """The routes, whose operations now count as `costs` says, and answer 429 beyond a limit."""
        return [self._counted_route(route) if isinstance(route, Route) else route for route in routes]

    async def on_user(self, connection: HTTPConnection, user_id: int) -> None:
        """Count a request for its user; handshakes and uncounted operations are ignored.

        Raises: Problem (429).
        """
        call: _Call | None = connection.scope.get(_CALL)
        if call is not None:
            await call.begin(CallerKind.USER, str(user_id))

    def _counted_route(self, route: Route) -> Route:
        endpoints: Mapping[str, Handler] = getattr(route.endpoint, "endpoints", None) or dict.fromkeys(
            (route.methods or set()) - {"HEAD", "OPTIONS"}, route.endpoint
        )
        template = re.sub(r"{(\w+):\w+}", r"{\1}", route.path)
        counted = {
            method: self._counted(endpoint, COSTS.get(f"{method} {template}", Cost.REQUEST))
            for method, endpoint in endpoints.items()
        }
        return resource(route.path, **counted)

    def _counted(self, endpoint: Handler, cost: Cost) -> Handler:
        operation: Operation = endpoint.operation  # type: ignore[attr-defined]
        if cost is Cost.UNCOUNTED:
            return endpoint

        @wraps(endpoint)
        async def counted(request: Request) -> Response:
            call = _Call(cost, self._take)
            request.scope[_CALL] = call
            key = self._service_keys.find(request) if operation.scope and "x-service-key" in request.headers else None
            if key is not None:
                await call.begin(CallerKind.SERVICE, key.name)
            elif operation.caller not in _WITH_TOKEN:
                await call.begin(CallerKind.ADDRESS, self._address(request))
            try:
                return await endpoint(request)
            except Problem:
                if not call.has_caller:
                    await call.begin(CallerKind.ADDRESS, self._address(request))
                raise

        refusals = {**operation.refusals, HTTPStatus.TOO_MANY_REQUESTS.value: ErrorCode.RATE_LIMITED}
        counted.operation = replace(operation, refusals=refusals)  # type: ignore[attr-defined]
        return counted

    def _address(self, request: Request) -> str:
        return networks_of(client_address(request, self._trusted_proxies))[0]

    async def _take(self, kind: CallerKind, name: str, amounts: _Amounts, later: _Amounts) -> None:
        """Take these, unless it is known that the amounts that are taken `later` will be refused.

        Raises: Problem (429).
        """
        takes, caller = self._takes(kind, amounts), f"{kind}:{name}"
        too_large = next((take for take in takes if take.amount > take.per_minute), None)
        if too_large is not None:
            exhausted: Exhausted | None = Exhausted(too_large.bucket, WINDOW_S)
        else:
            exhausted = self._buckets.known_refusal(caller, self._takes(kind, later))
            if exhausted is None and takes:
                exhausted = await self._buckets.take(caller, takes)
        if exhausted is not None:
            self._on_limited(exhausted.bucket, kind)
            await self._slow_refusals.before(caller, exhausted.retry_after_s)
            detail = _DETAILS[CallLimit(exhausted.bucket)]
            status = HTTPStatus.TOO_MANY_REQUESTS
            raise retry_later(status, ErrorCode.RATE_LIMITED, detail, exhausted.retry_after_s)

    def _takes(self, kind: CallerKind, amounts: _Amounts) -> list[Take]:
        rates = {limit: self._rates.of(kind, limit) for limit in amounts}
        return [Take(limit, amount, rates[limit]) for limit, amount in amounts.items() if amount and rates[limit]]


class _Call:
    """One request, and whose it is."""

    def __init__(self, cost: Cost, take: _Taker) -> None:
        self._cost = cost
        self._take = take
        self._caller: tuple[CallerKind, str] | None = None

    @property
    def has_caller(self) -> bool:
        """Whether it is known whose it is."""
        return self._caller is not None

    async def begin(self, kind: CallerKind, name: str) -> None:
        """Count the request for this caller, unless it counts already."""
        if self._caller is None:
            self._caller = kind, name
            await self._take(kind, name, _AT_ONCE[self._cost], _LATER.get(self._cost, {}))

    async def count(self, amounts: _Amounts) -> None:
        """Count more for the same caller."""
        if self._caller is not None:
            await self._take(*self._caller, amounts, {})


async def count_rows(request: Request, *, chats: int = 0, members: int = 0) -> None:
    """Count the rows that the request is about to add, all or none of them, for its caller.

    Raises: Problem (429).
    """
    call: _Call | None = request.scope.get(_CALL)
    if call is not None:
        await call.count({CallLimit.CHATS: chats, CallLimit.MEMBERS: members})


async def count_requests(request: Request, number: int) -> None:
    """Count the request as so many more, all or none of them, for its caller.

    Raises: Problem (429).
    """
    call: _Call | None = request.scope.get(_CALL)
    if call is not None:
        await call.count({CallLimit.REQUESTS: number})
