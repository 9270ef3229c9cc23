"""Routes with one endpoint per method."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import wraps
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from httpapi.errors import Problem
from httpapi.operation import TOKEN_PARAMETER, Operation

Handler = Callable[[Request], Awaitable[Response]]

_MAX_NAME: Final = 200
"""In characters: the name of an unknown parameter may be as long as the URL."""


def resource(path: str, **endpoints: Handler) -> Route:
    """One route with an endpoint per method; unknown parameters in the query are ignored, as the seeds' clients need.

    With one route per method, `Allow` of a 405 would list only the first one's (RFC 9110 §15.5.6 requires all).
    """

    async def endpoint(request: Request) -> Response:
        return await endpoints["GET" if request.method == "HEAD" else request.method](request)

    endpoint.endpoints = endpoints  # type: ignore[attr-defined]  # for httpapi.openapi
    return _Resource(path, endpoint, methods=list(endpoints))


class _Resource(Route):
    """A URL without parameters responds to every method: no URL with a parameter in its place takes the others."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As of every route, but whole where only the method does not match."""
        match, matched = super().matches(scope)
        return (Match.FULL if match is Match.PARTIAL and not self.param_convertors else match), matched


def api_resource(path: str, **endpoints: Handler) -> Route:
    """The same for `/api/v1`, with the query checked."""
    return resource(path, **{method: checking_query(endpoint) for method, endpoint in endpoints.items()})


def checking_query(endpoint: Handler) -> Handler:
    """The endpoint, which now rejects every parameter in the query that its operation does not declare (422)."""
    operation: Operation = endpoint.operation  # type: ignore[attr-defined]
    known = {TOKEN_PARAMETER, *(one.name for one in operation.parameters if one.place == "query")}

    @wraps(endpoint)
    async def checked(request: Request) -> Response:
        for name in request.query_params:
            if name not in known:
                detail = f"The query contains an unknown parameter: `{name[:_MAX_NAME]}`."
                raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_field", detail)
        return await endpoint(request)

    codes = ", ".join(filter(None, ["invalid_field", operation.refusals.get(422)]))
    checked.operation = replace(operation, refusals={**operation.refusals, 422: codes})  # type: ignore[attr-defined]
    return checked
