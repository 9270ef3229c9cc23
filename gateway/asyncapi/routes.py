"""`/asyncapi.json` and `/docs/ws`: the WebSocket API for programs and for people."""

from collections.abc import Sequence
from functools import cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.asyncapi.document import document
from gateway.asyncapi.page import STYLE, page
from httpapi.docs_pages import json_page


@cache
def web_socket_pages(*, version: str, public_url: str, max_text_length: int) -> Sequence[BaseRoute]:
    """The routes of the AsyncAPI document and of its page; `public_url` is "" if it is unknown.

    They take an eighth of a start, so nodes that the tests fork inherit them.
    """
    described = document(version=version, public_url=public_url, max_text_length=max_text_length)
    return (
        json_page("/asyncapi.json", described),
        _text_page("/docs/ws", page(described), "text/html"),
        _text_page("/docs/ws.css", STYLE, "text/css"),
    )


def _text_page(path: str, text: str, media_type: str) -> Route:
    body = text.encode()

    async def answer(_: Request) -> Response:
        return Response(body, headers={"Cache-Control": "no-cache"}, media_type=media_type)

    return Route(path, answer, include_in_schema=False)
