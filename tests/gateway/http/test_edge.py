"""What every answer has in common."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import Message
from starlette.websockets import WebSocket

from gateway.http.edge import DENIAL, Edge
from gateway.origins import Origins
from gateway.problems import HANDLERS, unauthorized
from storage.errors import StorageUnavailable
from tests.gateway.http.world import client_of, problem

NODE = (b"x-gateway-node", b"n1")


async def _page(_: Request) -> Response:
    return PlainTextResponse("hello", headers={"Vary": "Accept"})


async def _framed(_: Request) -> Response:
    return PlainTextResponse("hello", headers={"Content-Security-Policy": "default-src 'none'"})


async def _broken(_: Request) -> Response:
    raise RuntimeError("the password is hunter2")


async def _half(_: Request) -> Response:
    async def body() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("the other half")

    return StreamingResponse(body())


async def _endless(_: Request) -> Response:
    await asyncio.Event().wait()
    return Response()


async def _outage(_: Request) -> Response:
    raise StorageUnavailable("connection refused")


async def _open(websocket: WebSocket) -> None:
    await websocket.accept(headers=[(b"x-other", b"1")])
    await websocket.close(4401)


async def _shut(websocket: WebSocket) -> None:
    await websocket.send_denial_response(unauthorized("A token is needed.").response())


@pytest.fixture
def app() -> Edge:
    routes = [
        Route("/page", _page, methods=["GET", "POST"]),
        Route("/endless", _endless),
        Route("/framed", _framed),
        Route("/broken", _broken),
        Route("/half", _half),
        Route("/outage", _outage),
        WebSocketRoute("/open", _open),
        WebSocketRoute("/shut", _shut),
    ]
    starlette = Starlette(routes=routes, exception_handlers=HANDLERS)
    return Edge(starlette, "n1", Origins(["http://page.example"], public_url="", is_development=False))


@pytest.fixture
async def http(app: Edge) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client


async def _handshake(app: Edge, path: str, *extensions: str) -> list[Message]:
    """What the application sends in answer to a handshake."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "websocket",
        "path": path,
        "query_string": b"",
        "headers": [],
        "subprotocols": [],
        "scheme": "ws",
        "extensions": {name: {} for name in extensions},
    }
    await app(scope, receive, send)
    return sent


async def test_every_answer_names_its_node(http: httpx.AsyncClient) -> None:
    for path in ("/page", "/nowhere", "/broken", "/outage"):
        assert (await http.get(path)).headers["x-gateway-node"] == "n1", path
    assert (await http.put("/page")).headers["x-gateway-node"] == "n1"
    assert (await http.options("/page")).headers["x-gateway-node"] == "n1"
    assert (await http.get("/page", headers={"Origin": "http://evil.example"})).headers["x-gateway-node"] == "n1"


async def test_a_fault_of_ours_tells_the_client_nothing(http: httpx.AsyncClient) -> None:
    answer = await http.get("/broken")
    problem(answer, 500, "internal")
    assert "hunter2" not in answer.text


async def test_the_server_still_hears_of_a_fault_of_ours(app: Edge) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chat.example") as http:
        for path in ("/broken", "/half"):
            with pytest.raises(RuntimeError):
                await http.get(path)


async def test_an_outage_is_not_our_fault(http: httpx.AsyncClient) -> None:
    answer = await http.get("/outage")
    problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "1"
    assert "connection refused" not in answer.text


async def test_who_waits_when_the_server_gives_up_is_told_to_ask_again(app: Edge) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise NotImplementedError

    scope = {"type": "http", "method": "GET", "path": "/endless", "headers": [], "query_string": b""}
    serving = asyncio.ensure_future(app(scope, receive, send))
    await asyncio.sleep(0.01)
    serving.cancel()  # as uvicorn does at the end of its grace
    await serving
    assert sent[0]["status"] == 503
    assert {NODE, (b"retry-after", b"1")} <= set(sent[0]["headers"])


async def test_pages_are_confined(http: httpx.AsyncClient) -> None:
    headers = (await http.get("/page")).headers
    policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert (await http.get("/framed")).headers["content-security-policy"] == "default-src 'none'"


async def test_answers_differ_by_origin_and_caches_know(http: httpx.AsyncClient) -> None:
    plain = await http.get("/page")
    assert {name.strip() for name in plain.headers["vary"].split(",")} == {"Accept", "Origin"}
    assert not [name for name in plain.headers if name.startswith("access-control-")]
    allowed = await http.get("/page", headers={"Origin": "http://page.example"})
    assert allowed.headers["access-control-allow-origin"] == "http://page.example"
    assert "Origin" in allowed.headers["vary"]


async def test_a_foreign_form_never_reaches_a_route_that_asks_for_no_token(http: httpx.AsyncClient) -> None:
    answer = await http.post("/page", data={"username": "ann"}, headers={"Origin": "http://evil.example"})
    problem(answer, 403, "forbidden_origin")
    answer = await http.post("/page", data={"username": "ann"}, headers={"Origin": "http://page.example"})
    assert answer.text == "hello"


async def test_a_foreign_preflight_is_refused(http: httpx.AsyncClient) -> None:
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = await http.options("/page", headers=headers)
    problem(answer, 403, "forbidden_origin")
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_handshakes_are_answered_by_name(app: Edge) -> None:
    accept, _ = await _handshake(app, "/open")
    assert accept["type"] == "websocket.accept"
    assert accept["headers"] == [(b"x-other", b"1"), NODE]

    start, _ = await _handshake(app, "/shut", DENIAL)
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert NODE in start["headers"]


async def test_a_handshake_to_nowhere_is_not_found(app: Edge) -> None:
    start, body = await _handshake(app, "/nowhere", DENIAL)
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 404)
    assert NODE in start["headers"]
    assert b'"not_found"' in body["body"]
    (close,) = await _handshake(app, "/nowhere")  # a server that knows no answers of this kind
    assert close["type"] == "websocket.close"


async def test_a_close_after_accept_stays_a_close(app: Edge) -> None:
    _, close = await _handshake(app, "/open", DENIAL)
    assert (close["type"], close["code"]) == ("websocket.close", 4401)
