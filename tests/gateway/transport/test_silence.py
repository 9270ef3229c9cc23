"""No URL is ever logged, since it may contain a token."""

import asyncio
import logging

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from tests.gateway.transport.wire import TEXT, RawClient, close, frame, handshake
from tests.support.transport_server import running, until

SECRET = "eyJhbGciOiJFUzI1NiJ9.secret"


async def _accept(websocket: WebSocket) -> None:
    await websocket.accept()
    async for _ in websocket.iter_text():
        pass


async def _refuse(websocket: WebSocket) -> None:
    await websocket.close()


async def _deny(websocket: WebSocket) -> None:
    await websocket.send_denial_response(Response(status_code=401))


async def _fail(websocket: WebSocket) -> None:
    raise RuntimeError("a bug")


async def _never(websocket: WebSocket) -> None:
    await websocket.receive()
    await websocket.receive()


APP = Starlette(
    routes=[
        WebSocketRoute("/accept", _accept),
        WebSocketRoute("/refuse", _refuse),
        WebSocketRoute("/deny", _deny),
        WebSocketRoute("/fail", _fail),
        WebSocketRoute("/never", _never),
        Route("/http", lambda _: Response()),
    ]
)


async def _visit(port: int, request: bytes) -> None:
    async with await RawClient.connect(port) as client:
        await client.send(request)
        if b"/accept" in request and b" 101 " in await client.answer():
            await client.send(frame(TEXT, SECRET.encode()), close(1000, SECRET.encode()))
        await client.ended()


@pytest.mark.usefixtures("short_bounds")
async def test_logs_contain_no_token(caplog: pytest.LogCaptureFixture) -> None:
    names = [name for name in logging.Logger.manager.loggerDict if name.startswith(("uvicorn", "websockets"))]
    with caplog.at_level(logging.DEBUG):
        for name in names:
            logging.getLogger(name).setLevel(logging.DEBUG)
        try:
            async with running(APP) as server:
                for path in ("accept", "refuse", "deny", "fail", "never", "missing"):
                    await _visit(server.port, handshake(f"/{path}?token={SECRET}", f"Authorization: Bearer {SECRET}"))
                await _visit(server.port, handshake(f"/accept?token={SECRET}{'x' * 9000}"))
                await _visit(server.port, handshake(f"/accept?token={SECRET}").replace(b": 13", b": 12"))
                await _visit(server.port, f"GET /http?token={SECRET} HTTP/1.0\r\n\r\n".encode())
                await _visit(server.port, f"GET /http?token={SECRET} HTTP/9.9\r\n\r\n".encode())
                await _visit(server.port, f"GET /http?token={SECRET} HTTP/1.1\r\nX:".encode())
                async with await RawClient.connect(server.port) as client:
                    await client.send(handshake(f"/never?token={SECRET}"))
                    await until(lambda: server.sockets)
                    await asyncio.wait_for(client.ended(), 6)
        finally:
            for name in names:
                logging.getLogger(name).setLevel(logging.NOTSET)
    assert "a bug" in caplog.text, "errors are logged"
    assert SECRET not in caplog.text
    assert "token" not in caplog.text
