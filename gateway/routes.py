"""Every URL of a node, on one screen."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from starlette.responses import FileResponse
from starlette.routing import BaseRoute, Match, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Scope
from starlette.websockets import WebSocket

from gateway.connection import Connections
from gateway.entrances.base import Entrance
from gateway.path_segment import ANY_TEXT


def web_socket_routes(
    connections: Connections,
    *,
    chat: Entrance,
    service: Entrance,
    support: Entrance,
    echo: Entrance,
    room: Entrance,
    public: Entrance,
    client: Entrance,
) -> list[BaseRoute]:
    """The URL families, each with and without a trailing slash."""
    return [
        _OneSegment(f"/ws/{{client_id:{ANY_TEXT}}}", _endpoint(client, connections)),
        *_family("/ws/chat/{chat_id}", chat, connections),
        *_family("/ws/service-chats/{chat_id}", service, connections),
        *_family("/ws/support-chats/{chat_id}", support, connections),
        *_family("/channels/echo", echo, connections),
        *_family(f"/updates/{{room_id:{ANY_TEXT}}}", room, connections),
        *_family("/channels/public", public, connections),
    ]


def _family(path: str, entrance: Entrance, connections: Connections) -> list[BaseRoute]:
    endpoint = _endpoint(entrance, connections)
    return [WebSocketRoute(path, endpoint), WebSocketRoute(path + "/", endpoint)]


def _endpoint(entrance: Entrance, connections: Connections) -> Callable[[WebSocket], Awaitable[None]]:
    async def endpoint(websocket: WebSocket) -> None:
        await connections.serve(websocket, entrance)

    return endpoint


class _OneSegment(WebSocketRoute):
    """A URL that ends in free text: an encoded slash in it does not make it another family's."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """The router's question."""
        segment = scope.get("raw_path", b"").removeprefix(b"/ws/").removesuffix(b"/")
        return (Match.NONE, {}) if b"/" in segment else super().matches(scope)


def page_routes(folder: Path) -> Sequence[BaseRoute]:
    """The page at `/`, and its files."""

    async def page(_: object) -> FileResponse:
        return FileResponse(folder / "index.html")

    return [Route("/", page, include_in_schema=False), Mount("/static", StaticFiles(directory=folder))]
