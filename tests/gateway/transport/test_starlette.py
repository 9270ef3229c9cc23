"""Applications that do not use the direct connection get plain ASGI: Starlette's WebSocket works unchanged."""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.gateway.transport.wire import TEXT, RawClient, close, frame
from tests.support.transport_server import Server, running, starlette_echo, until

Handler = Callable[[WebSocket], Awaitable[None]]


def app_of(handler: Handler) -> Starlette:
    """An application with the one route."""
    return Starlette(routes=[WebSocketRoute("/", handler)])


def dial(server: Server, **options: object) -> connect:
    """A client library's connection."""
    return connect(f"ws://127.0.0.1:{server.port}/", proxy=None, **options)  # type: ignore[arg-type]


async def closed(socket: ClientConnection) -> tuple[int | None, str | None]:
    """The close that the client sees."""
    with pytest.raises(ConnectionClosed):
        await socket.recv()
    return socket.close_code, socket.close_reason


async def test_text_bytes_and_json_go_both_ways() -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text((await websocket.receive_text()).upper())
        await websocket.send_bytes((await websocket.receive_bytes())[::-1])
        await websocket.send_json(await websocket.receive_json())
        await websocket.close()

    async with running(app_of(handler)) as server, dial(server) as socket:
        await socket.send("text")
        assert await socket.recv() == "TEXT"
        await socket.send(b"\x00\xff")
        assert await socket.recv() == b"\xff\x00"
        await socket.send('{"a":1}')
        assert await socket.recv() == '{"a":1}'
        assert await closed(socket) == (1000, "")


async def test_subprotocol_and_headers_of_accept_reach_the_client() -> None:
    async def handler(websocket: WebSocket) -> None:
        assert websocket.scope["subprotocols"] == ["bearer", "secret"]
        await websocket.accept("bearer", headers=[(b"x-gateway-node", b"here")])
        await websocket.close(4401, "expired")

    offered = [Subprotocol("bearer"), Subprotocol("secret")]
    async with running(app_of(handler)) as server, dial(server, subprotocols=offered) as socket:
        assert socket.subprotocol == "bearer"
        assert socket.response is not None
        assert socket.response.headers["X-Gateway-Node"] == "here"
        assert await closed(socket) == (4401, "expired")


async def test_application_may_send_a_denial_response(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.send_denial_response(JSONResponse({"code": "unauthorized"}, 401))

    async with running(app_of(handler)) as server:
        with pytest.raises(InvalidStatus) as refusal:
            await dial(server)
        assert refusal.value.response.status_code == 401
        assert refusal.value.response.body == b'{"code":"unauthorized"}'
        await until(lambda: not server.server_state.tasks)
    assert caplog.messages == []


async def test_close_before_accept_is_403() -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.close()

    async with running(app_of(handler)) as server:
        with pytest.raises(InvalidStatus) as refusal:
            await dial(server)
        assert refusal.value.response.status_code == 403


async def test_failure_before_accept_is_500() -> None:
    async def handler(websocket: WebSocket) -> None:
        raise RuntimeError("a bug")

    async with running(app_of(handler)) as server:
        with pytest.raises(InvalidStatus) as refusal:
            await dial(server)
        assert refusal.value.response.status_code == 500


@pytest.mark.parametrize("verdict", ["accept", "refuse"])
async def test_handshake_during_server_stop_is_503(verdict: str, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(websocket: WebSocket) -> None:
        for socket in server.sockets:
            socket.shutdown()
        await (websocket.accept() if verdict == "accept" else websocket.send_denial_response(JSONResponse({}, 403)))

    async with running(app_of(handler)) as server:
        with pytest.raises(InvalidStatus) as refusal:
            await dial(server)
        assert refusal.value.response.status_code == 503
        await until(lambda: not server.server_state.tasks)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_failure_after_server_stop_sends_no_second_response(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def handler(_: WebSocket) -> None:
        for socket in server.sockets:
            socket.shutdown()
        raise asyncio.CancelledError

    async with running(app_of(handler)) as server:
        with pytest.raises(InvalidStatus) as refusal:
            await dial(server)
        assert refusal.value.response.status_code == 503
        await until(lambda: not server.server_state.tasks)
        gc.collect()  # a task that failed says so when it goes
    assert [record.name for record in caplog.records if record.levelno >= logging.ERROR] == ["gateway.transport"]


@pytest.mark.parametrize(("sent", "code"), [(close(4321, b"why"), 4321), (close(), 1005), (frame(3), 1002)])
async def test_application_gets_close_code(sent: bytes, code: int) -> None:
    seen: list[int] = []

    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            await websocket.receive_text()
        except WebSocketDisconnect as end:
            seen.append(end.code)

    async with running(app_of(handler)) as server, await RawClient.open(server.port) as client:
        await client.send(sent)
        await client.read_all()
        await until(lambda: seen)
        assert seen == [code]


@pytest.mark.parametrize("sent", [close(1000), frame(3), frame(TEXT, b"\xff")], ids=["close", "failure", "bad text"])
async def test_sending_to_disconnected_client_raises_disconnect(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[int] = []

    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        try:
            while True:
                await websocket.send_text("tick")
                await asyncio.sleep(0)
        except WebSocketDisconnect as end:
            seen.append(end.code)

    async with running(app_of(handler)) as server, await RawClient.open(server.port) as client:
        await client.send(sent)
        await client.read_all()
        await until(lambda: seen)
        assert seen == [1006]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_busy_application_gets_all_messages_later() -> None:
    may_read, messages = asyncio.Event(), list[str]()

    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        await may_read.wait()
        async for message in websocket.iter_text():
            messages.append(message)

    async with running(app_of(handler)) as server, dial(server) as socket:
        for number in range(100):
            await socket.send(f"{number}")
        may_read.set()
        await until(lambda: len(messages) == 100)
        assert messages == [f"{number}" for number in range(100)]


async def test_handshake_without_key_is_rejected() -> None:
    async with running(starlette_echo) as server, await RawClient.connect(server.port) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert (await client.answer()).startswith(b"HTTP/1.1 400 ")
        await client.ended()
