"""Common properties of all responses."""

import asyncio
import logging
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

from gateway.authentication.origins import Origins
from gateway.http.problems import HANDLERS, unauthorized
from gateway.middleware import DENIAL, MAX_LOGGED, Edge
from storage.errors import StorageUnavailable
from tests.gateway.api.world import client_of, problem

NODE = (b"x-gateway-node", b"n1")


async def _page(_: Request) -> Response:
    return PlainTextResponse("hello", headers={"Vary": "Accept"})


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
        Route("/broken", _broken),
        Route("/half", _half),
        Route("/outage", _outage),
        WebSocketRoute("/open", _open),
        WebSocketRoute("/shut", _shut),
    ]
    starlette = Starlette(routes=routes, exception_handlers=HANDLERS)
    return Edge(starlette, "n1", Origins(["http://page.example"], public_url="", is_development=False))


@pytest.fixture
def logging_app(app: Edge) -> Edge:
    return Edge(app._app, "n1", Origins((), public_url="", is_development=True), logs_requests=True)


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


async def test_every_response_names_its_node(http: httpx.AsyncClient) -> None:
    for path in ("/page", "/nowhere", "/broken", "/outage"):
        assert (await http.get(path)).headers["x-gateway-node"] == "n1", path
    assert (await http.put("/page")).headers["x-gateway-node"] == "n1"
    assert (await http.options("/page")).headers["x-gateway-node"] == "n1"
    assert (await http.get("/page", headers={"Origin": "http://evil.example"})).headers["x-gateway-node"] == "n1"


async def test_internal_error_response_has_no_details(http: httpx.AsyncClient) -> None:
    answer = await http.get("/broken")
    problem(answer, 500, "internal")
    assert "hunter2" not in answer.text


async def test_internal_error_is_raised_to_the_server(app: Edge) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chat.example") as http:
        for path in ("/broken", "/half"):
            with pytest.raises(RuntimeError):
                await http.get(path)


async def test_outage_is_503_without_details(http: httpx.AsyncClient) -> None:
    answer = await http.get("/outage")
    problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"] == "1"
    assert "connection refused" not in answer.text


async def test_request_cancelled_at_stop_gets_503_with_retry_after(app: Edge) -> None:
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


async def test_responses_vary_by_origin(http: httpx.AsyncClient) -> None:
    plain = await http.get("/page")
    assert {name.strip() for name in plain.headers["vary"].split(",")} == {"Accept", "Origin"}
    assert not [name for name in plain.headers if name.startswith("access-control-")]
    allowed = await http.get("/page", headers={"Origin": "http://page.example"})
    assert allowed.headers["access-control-allow-origin"] == "http://page.example"
    assert "Origin" in allowed.headers["vary"]


async def test_foreign_form_is_rejected_on_route_without_token(http: httpx.AsyncClient) -> None:
    answer = await http.post("/page", data={"username": "ann"}, headers={"Origin": "http://evil.example"})
    problem(answer, 403, "forbidden_origin")
    answer = await http.post("/page", data={"username": "ann"}, headers={"Origin": "http://page.example"})
    assert answer.text == "hello"


async def test_foreign_preflight_is_rejected(http: httpx.AsyncClient) -> None:
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = await http.options("/page", headers=headers)
    problem(answer, 403, "forbidden_origin")
    assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_handshake_responses_name_their_node(app: Edge) -> None:
    accept, _ = await _handshake(app, "/open")
    assert accept["type"] == "websocket.accept"
    assert accept["headers"] == [(b"x-other", b"1"), NODE]

    start, _ = await _handshake(app, "/shut", DENIAL)
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 401)
    assert NODE in start["headers"]


async def test_handshake_to_unknown_url_is_not_found(app: Edge) -> None:
    start, body = await _handshake(app, "/nowhere", DENIAL)
    assert (start["type"], start["status"]) == ("websocket.http.response.start", 404)
    assert NODE in start["headers"]
    assert b'"not_found"' in body["body"]
    (close,) = await _handshake(app, "/nowhere")  # a server that knows no answers of this kind
    assert close["type"] == "websocket.close"


async def test_close_after_accept_stays_a_close(app: Edge) -> None:
    _, close = await _handshake(app, "/open", DENIAL)
    assert (close["type"], close["code"]) == ("websocket.close", 4401)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/page", 200), ("GET", "/nowhere", 404), ("POST", "/page", 200), ("GET", "/broken", 500)],
)
async def test_request_log_is_optional_and_omits_query(
    logging_app: Edge, method: str, path: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gateway.http")
    async with client_of(logging_app) as client:
        await client.request(method, f"{path}?token=hunter2")
    (record,) = [record for record in caplog.records if record.name == "gateway.http"]
    fields: dict[str, Any] = record.__dict__["fields"]
    assert (record.getMessage(), record.levelname) == ("request", "INFO")
    assert (fields["method"], fields["path"], fields["status"]) == (method, path, status)
    assert fields["ms"] >= 0
    assert "hunter2" not in str(fields)


async def test_long_path_is_truncated_in_log(logging_app: Edge, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gateway.http")
    async with client_of(logging_app) as client:
        await client.get("/" + "x" * 10_000)
    (record,) = [record for record in caplog.records if record.name == "gateway.http"]
    assert len(record.__dict__["fields"]["path"]) == MAX_LOGGED


async def test_requests_are_not_logged_by_default(http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gateway.http")
    await http.get("/page")
    assert [record for record in caplog.records if record.name == "gateway.http"] == []


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
async def test_probes_are_not_logged(logging_app: Edge, path: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gateway.http")
    async with client_of(logging_app) as client:
        await client.get(path)
    assert [record for record in caplog.records if record.name == "gateway.http"] == []
