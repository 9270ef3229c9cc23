"""`/asyncapi.json` and `/docs/ws`: the WebSocket API for programs and for people."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.asyncapi.page import STYLE, page
from httpapi.docs_pages import json_page


def web_socket_pages(document: Mapping[str, Any]) -> list[BaseRoute]:
    """The routes of the AsyncAPI document and of its page."""
    return [
        json_page("/asyncapi.json", document),
        _text_page("/docs/ws", page(document), "text/html"),
        _text_page("/docs/ws.css", STYLE, "text/css"),
    ]


def _text_page(path: str, text: str, media_type: str) -> Route:
    body = text.encode()

    async def answer(_: Request) -> Response:
        return Response(body, headers={"Cache-Control": "no-cache"}, media_type=media_type)

    return Route(path, answer, include_in_schema=False)
