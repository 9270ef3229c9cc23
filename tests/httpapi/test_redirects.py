"""Redirects between URLs with and without a trailing slash."""

from urllib.parse import urljoin

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from httpapi.redirects import RelativeRedirects


async def _here(_: Request) -> Response:
    return PlainTextResponse("here")


ROUTES = [Route("/docs", _here), Route("/a/{name}", _here), Route("/folder/", _here)]
APP = Starlette(routes=ROUTES, middleware=[Middleware(RelativeRedirects)])


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ("/docs/", "/docs"),
        ("/docs/?a=1&b=%2F", "/docs?a=1&b=%2F"),
        ("/folder", "/folder/"),
        ("/folder?x", "/folder/?x"),
        ("/a/b:c%20d/", "/a/b:c%20d"),
        ("/a/javascript:alert/", "/a/javascript:alert"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "/chat", "/deep/er"])
async def test_redirect_stays_below_the_prefix_and_on_the_host(path: str, to: str, prefix: str) -> None:
    transport = httpx.ASGITransport(APP)
    async with httpx.AsyncClient(transport=transport, base_url="http://evil.example") as http:
        answer = await http.get(path)
    assert answer.status_code == 307
    location = answer.headers["location"]
    assert "evil" not in location
    assert urljoin(f"https://chat.example{prefix}{path}", location) == f"https://chat.example{prefix}{to}"


async def test_redirect_goes_up_once_for_each_slash() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://chat.example") as http:
        location = (await http.get("/docs//")).headers["location"]
    assert location == "../../docs"  # Python's urljoin drops empty segments, which RFC 3986 counts
