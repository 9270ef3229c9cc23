"""The responses of auth: JSON, and a problem document for each exception."""

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from http import HTTPStatus
from typing import Any, Final, Protocol

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from auth.api import problems
from auth.errors import KeysUnavailable, Overloaded
from httpapi.errors import Problem
from httpapi.resource import checking_query, resource
from storage.errors import LoginTaken, StorageUnavailable, UnknownInvitation

_TIMES: Final = orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS

RouteHandler = Callable[[Request], Awaitable[Response]]


def json_answer(content: Any, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """A response that no cache stores (RFC 6749 §5.1)."""
    headers = {"Cache-Control": "no-store"}
    return Response(orjson.dumps(content, option=_TIMES), status.value, headers, media_type="application/json")


async def outcome_of(endpoint: RouteHandler, request: Request) -> Response | Problem:
    """The endpoint's response, or the problem that it raised."""
    try:
        return await endpoint(request)
    except Problem as problem:
        return problem
    except LoginTaken:
        return problems.login_taken()
    except UnknownInvitation:
        return problems.unknown_invitation()
    except (StorageUnavailable, KeysUnavailable, Overloaded):
        return problems.unavailable()


class RouteGroup(Protocol):
    """Some of the URLs below /api/v1."""

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """The routes; they need no exception handler of the application."""
        ...


def api_route(path: str, **endpoints: RouteHandler) -> BaseRoute:
    """One URL below /api/v1, with an endpoint per method."""
    return resource(path, **{name: answers_problems(checking_query(each)) for name, each in endpoints.items()})


def answers_problems(endpoint: RouteHandler) -> RouteHandler:
    """The endpoint, which responds to exceptions with problem documents."""

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        outcome = await outcome_of(endpoint, request)
        return outcome.response() if isinstance(outcome, Problem) else outcome

    return answer
