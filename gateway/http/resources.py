"""One route for all that may be done to one URL."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Endpoint = Callable[[Request], Awaitable[Response]]


def resource(path: str, **endpoints: Endpoint) -> Route:
    """The route, with an endpoint a method.

    With a route a method, a 405 would name only the first one's in `Allow` (RFC 9110 §15.5.6 wants them all).
    """

    async def endpoint(request: Request) -> Response:
        return await endpoints["GET" if request.method == "HEAD" else request.method](request)

    endpoint.endpoints = endpoints  # type: ignore[attr-defined]  # for auth.openapi
    return Route(path, endpoint, methods=list(endpoints))
