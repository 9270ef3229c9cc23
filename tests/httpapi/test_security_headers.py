"""The security headers of every response, and HSTS in production."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Message
from starlette.websockets import WebSocket

from httpapi.security_headers import HSTS, SecurityHeaders

EVERY = {"content-security-policy", "referrer-policy", "x-content-type-options"}
STS = "strict-transport-security"
DENIAL = "websocket.http.response"


async def _page(_: Request) -> Response:
    return PlainTextResponse("hello")


async def _framed(_: Request) -> Response:
    return PlainTextResponse("hello", headers={"Content-Security-Policy": "default-src 'none'"})


async def _broken(_: Request) -> Response:
    raise RuntimeError("the password is hunter2")


async def _shut(websocket: WebSocket) -> None:
    await websocket.send_denial_response(PlainTextResponse("no", 401))


async def _open(websocket: WebSocket) -> None:
    await websocket.accept()


APP = Starlette(
    routes=[
        Route("/page", _page),
        Route("/framed", _framed),
        Route("/broken", _broken),
        Route("/folder/", _page),
        WebSocketRoute("/shut", _shut),
        WebSocketRoute("/open", _open),
    ]
)


def client(app: SecurityHeaders, scheme: str = "http") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=f"{scheme}://chat.example")


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with client(SecurityHeaders(APP)) as http:
        yield http


async def _handshake(app: SecurityHeaders, path: str, scheme: str) -> list[Message]:
    """What the application sends in response to a handshake."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "websocket", "path": path, "query_string": b"", "headers": [], "scheme": scheme}
    await app(scope | {"subprotocols": [], "extensions": {DENIAL: {}}}, receive, send)
    return sent


async def test_pages_are_confined(http: httpx.AsyncClient) -> None:
    headers = (await http.get("/page")).headers
    policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert (await http.get("/framed")).headers["content-security-policy"] == "default-src 'none'"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/page", 200),
        ("GET", "/folder", 307),
        ("GET", "/nowhere", 404),
        ("PUT", "/page", 405),
        ("GET", "/broken", 500),
    ],
)
async def test_every_status_has_the_headers(http: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    response = await http.request(method, path)
    assert response.status_code == status
    assert set(response.headers) >= EVERY


@pytest.mark.parametrize(
    ("is_production", "public_url", "scheme", "expected"),
    [
        (True, "", "https", HSTS),
        (True, "https://chat.example", "http", HSTS),
        (True, "http://chat.example", "http", None),
        (True, "", "http", None),
        (False, "https://chat.example", "https", None),
    ],
)
async def test_hsts_is_sent_in_production_over_tls_only(
    is_production: bool, public_url: str, scheme: str, expected: str | None
) -> None:
    app = SecurityHeaders(APP, public_url, is_production=is_production)
    async with client(app, scheme) as http:
        for path in ("/page", "/folder", "/nowhere", "/broken"):
            assert (await http.get(path)).headers.get(STS) == expected, path
    start, _ = await _handshake(app, "/shut", scheme.replace("http", "ws"))
    assert dict(start["headers"]).get(STS.encode()) == (expected and expected.encode())


async def test_rejected_handshake_has_the_headers() -> None:
    start, _ = await _handshake(SecurityHeaders(APP), "/shut", "ws")
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert {name.decode() for name, _ in start["headers"]} >= EVERY


async def test_accepted_handshake_is_unchanged() -> None:
    (accept,) = await _handshake(SecurityHeaders(APP), "/open", "ws")
    assert (accept["type"], list(accept.get("headers", ()))) == ("websocket.accept", [])
