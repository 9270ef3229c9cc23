"""The scope and the response of a plain handshake, compared with what uvicorn makes of the same request."""

from types import SimpleNamespace
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gateway.interfaces.connection import CONNECTION
from gateway.transport.fast_handshake import FastHandshake
from gateway.transport.handshake import response_to, scope_of
from tests.gateway.transport.wire import RawClient
from tests.support.transport_server import running

HEADERS = ["Sec-WebSocket-Protocol: a, b", "X-Name: value"]
REQUEST = FastHandshake([(b"host", b"x")], b"ACCEPT", ["a"])


@pytest.mark.parametrize("root_path", ["", "/root"])
async def test_scope_equals_that_of_uvicorn(root_path: str) -> None:
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await send({"type": "websocket.accept", "subprotocol": "b", "headers": [(b"x-node", b"here")]})

    classes: list[dict[str, Any]] = [{}, {"ws": WebSocketsSansIOProtocol, "http": HttpToolsProtocol}]
    for options in classes:
        async with running(app, root_path=root_path, **options) as server:
            client = await RawClient.connect(server.port)
            async with client:
                request = ["GET /a%20b/%D1%8F?q=1?2 HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade"]
                request += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", *HEADERS]
                await client.send("\r\n".join([*request, "", ""]).encode())
                await client.answer()
                peer = client.writer.get_extra_info("sockname")
                assert (scopes[-1].pop("client"), scopes[-1].pop("server")) == (peer, ("127.0.0.1", server.port))
    assert scopes[0]["extensions"].pop(CONNECTION) is not None
    assert scopes[0] == scopes[1]


@pytest.mark.parametrize(("scheme", "expected"), [("http", "ws"), ("https", "wss")])
def test_scope_scheme_and_state_are_of_server(scheme: str, expected: str) -> None:
    http: Any = SimpleNamespace(url=b"/path", scheme=scheme, server=("s", 1), client=("c", 2))
    config: Any = SimpleNamespace(asgi_version="3.0", root_path="")
    state = {"key": "value"}
    scope = scope_of(http, REQUEST, config, state)
    assert (scope["scheme"], scope["state"], scope["query_string"]) == (expected, state, b"")
    assert scope["state"] is not state


def test_response_has_default_then_own_headers() -> None:
    response = response_to(
        REQUEST,
        {"type": "websocket.accept", "subprotocol": "a", "headers": [(b"x", b"1"), (b"y", b"2")]},
        [(b"server", b"s")],
    )
    assert response.decode().split("\r\n") == [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Accept: ACCEPT",
        "server: s",
        "x: 1",
        "y: 2",
        "Sec-WebSocket-Protocol: a",
        "",
        "",
    ]


def test_response_without_headers_is_minimal() -> None:
    response = response_to(REQUEST, {"type": "websocket.accept", "subprotocol": None, "headers": []}, [])
    assert response.endswith(b"\r\nSec-WebSocket-Accept: ACCEPT\r\n\r\n")
    accept: Any = {"type": "websocket.accept"}
    assert response_to(REQUEST, accept, []) == response
