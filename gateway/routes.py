"""Every WebSocket URL of a node."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Scope

from gateway.endpoints.acceptor import Acceptor
from gateway.endpoints.base import Endpoint
from gateway.endpoints.direct_routes import FamilyRoute
from gateway.http.parameters import ANY_TEXT
from gateway.http.problems import upgrade_required


def web_socket_routes(
    connections: Acceptor,
    *,
    chat: Endpoint,
    service: Endpoint,
    support: Endpoint,
    echo: Endpoint,
    room: Endpoint,
    public: Endpoint,
    client: Endpoint,
    stream: ASGIApp,
) -> list[BaseRoute]:
    """The routes of all URL families, and of event streams, each with and without a trailing slash."""
    native, events = f"/ws/{{client_id:{ANY_TEXT}}}", f"/sse/{{client_id:{ANY_TEXT}}}"
    return [
        _OneSegment(native, client, connections),
        _OneSegmentOfHttp(native, _upgrade_needed, methods=["GET"], include_in_schema=False),
        _OneSegmentOfHttp(events, stream, methods=["GET"], include_in_schema=False),
        *_family("/ws/chat/{chat_id}", chat, connections),
        *_family("/ws/service-chats/{chat_id}", service, connections),
        *_family("/ws/support-chats/{chat_id}", support, connections),
        *_family("/channels/echo", echo, connections),
        *_family(f"/updates/{{room_id:{ANY_TEXT}}}", room, connections),
        *_family("/channels/public", public, connections),
    ]


def _family(path: str, endpoint: Endpoint, connections: Acceptor) -> list[BaseRoute]:
    paths = (path, path + "/")
    return [
        *(FamilyRoute(each, endpoint, connections) for each in paths),
        *(Route(each, _upgrade_needed, methods=["GET"], include_in_schema=False) for each in paths),
    ]


class _OneSegment(FamilyRoute):
    """A WebSocket URL that ends in one segment of any text; an encoded slash in it does not start another segment."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match only if the part after the first slashes is one segment."""
        return super().matches(scope) if _is_one_segment(scope) else (Match.NONE, {})


class _OneSegmentOfHttp(Route):
    """The same for a plain HTTP request."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match only if the part after the first slashes is one segment."""
        return super().matches(scope) if _is_one_segment(scope) else (Match.NONE, {})


def _is_one_segment(scope: Scope) -> bool:
    raw_path: bytes = scope.get("raw_path", b"")
    return raw_path.removesuffix(b"/").count(b"/") <= 2


async def _upgrade_needed(_: Request) -> Response:
    raise upgrade_required()
