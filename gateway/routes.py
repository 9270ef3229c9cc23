"""Every URL of a node, on one screen."""

from collections.abc import Sequence
from pathlib import Path

from starlette.responses import FileResponse
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from gateway.connection import Connections
from gateway.entrances.base import Entrance


def web_socket_routes(
    connections: Connections,
    *,
    chat: Entrance,
    service: Entrance,
    support: Entrance,
    room: Entrance,
    public: Entrance,
    client: Entrance,
) -> list[BaseRoute]:
    """The URL families, each with and without a trailing slash."""
    return [
        *_family("/ws/chat/{chat_id}", chat, connections),
        *_family("/ws/service-chats/{chat_id}", service, connections),
        *_family("/ws/support-chats/{chat_id}", support, connections),
        *_family("/updates/{room_id:path}", room, connections),
        *_family("/channels/public", public, connections),
        *_family("/ws/{client_id:path}", client, connections),  # after the others, which it would take in
    ]


def _family(path: str, entrance: Entrance, connections: Connections) -> list[BaseRoute]:
    async def endpoint(websocket: WebSocket) -> None:
        await connections.serve(websocket, entrance)

    return [WebSocketRoute(path, endpoint), WebSocketRoute(path + "/", endpoint)]


def page_routes(folder: Path) -> Sequence[BaseRoute]:
    """The page at `/`, and its files."""

    async def page(_: object) -> FileResponse:
        return FileResponse(folder / "index.html")

    return [Route("/", page), Mount("/static", StaticFiles(directory=folder))]
