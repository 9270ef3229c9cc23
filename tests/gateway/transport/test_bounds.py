"""Limits against a hostile or broken peer: it cannot keep a socket, fill memory or slow other clients."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from gateway.protocol.frames import text_frame
from httpapi.security_headers import HEADERS
from tests.gateway.transport.wire import PING, TEXT, RawClient, close, frame, handshake
from tests.support.transport_server import LaneApp, Listener, Server, echo, open_files, running, starlette_echo, until

pytestmark = pytest.mark.usefixtures("short_bounds")

SMALL = 4096


async def stall(server: Server, app: LaneApp) -> tuple[RawClient, Listener]:
    """A client that reads nothing, and a connection with more to send than the kernel buffers."""
    client = await RawClient.open(server.port, receive_buffer=SMALL)
    listener = await app.listener()
    chunk = text_frame(b"x" * 60_000)
    for _ in range(200):
        listener.lane.write(chunk)
    await asyncio.sleep(0)
    await until(lambda: listener.lane.buffered > 1_000_000)
    return client, listener


async def say_close(client: RawClient, _: Server, __: Listener) -> None:
    await client.send(close(1000))


async def break_a_rule(client: RawClient, _: Server, __: Listener) -> None:
    await client.send(frame(3))


async def half_close(client: RawClient, _: Server, __: Listener) -> None:
    client.writer.write_eof()


async def be_closed(_: RawClient, __: Server, listener: Listener) -> None:
    listener.lane.close(4001, "too slow")


async def see_the_server_end(_: RawClient, server: Server, __: Listener) -> None:
    for socket in list(server.sockets):
        socket.shutdown()


async def close_and_see_the_server_end(client: RawClient, server: Server, listener: Listener) -> None:
    await client.send(close(1000))
    await until(lambda: listener.closes)
    for socket in list(server.sockets):
        socket.shutdown()


End = Callable[[RawClient, Server, Listener], Awaitable[None]]


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (say_close, 1000),
        (break_a_rule, 1002),
        (half_close, 1006),
        (be_closed, 4001),
        (see_the_server_end, 1012),
        (close_and_see_the_server_end, 1000),
    ],
)
async def test_close_behind_full_buffer_still_ends_connection(end: End, code: int) -> None:
    app = LaneApp(echo)
    async with running(app, ws_ping_interval=None) as server:
        before = open_files()
        client, listener = await stall(server, app)
        async with client:
            assert open_files() == before + 2
            await end(client, server, listener)
            await until(lambda: app.ends, 2)
            assert (listener.closes, app.ends) == ([code], [code])
        await until(lambda: open_files() == before)
        assert not server.server_state.connections
        assert not server.server_state.tasks


async def test_keepalive_aborts_stalled_reader_and_frees_descriptor() -> None:
    app = LaneApp(echo)
    async with running(app, ws_ping_interval=0.1, ws_ping_timeout=0.1) as server:
        before = open_files()
        client, listener = await stall(server, app)
        async with client:
            await until(lambda: app.ends, 2)
            assert (listener.closes, app.ends) == ([1006], [1006])
        await until(lambda: open_files() == before)


async def test_stalled_reader_does_not_block_application_send() -> None:
    ended: list[BaseException] = []

    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        try:
            while True:
                await send({"type": "websocket.send", "bytes": b"x" * 60_000})
        except BaseException as error:
            ended.append(error)
            raise

    async with (
        running(flood, ws_ping_interval=0.1, ws_ping_timeout=0.1) as server,
        await RawClient.open(server.port, receive_buffer=SMALL),
    ):
        await until(lambda: ended, 2)
        assert isinstance(ended[0], OSError)  # as ASGI asks


async def test_stalled_reader_does_not_delay_neighbours() -> None:
    app = LaneApp(echo)
    async with running(app) as server:
        client, _ = await stall(server, app)
        async with client, await RawClient.open(server.port) as neighbour:
            for number in range(100):
                await neighbour.send(frame(TEXT, b"%d" % number))
                received = await neighbour.read()
                assert received is not None
                assert received.payload == b"%d" % number


async def test_ping_flood_by_peer_that_never_reads_is_aborted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.transport.incoming.BURST", 10**9)  # else it is slowed first
    app = LaneApp(echo)
    async with (
        running(app, ws_ping_interval=None) as server,
        await RawClient.open(server.port, receive_buffer=SMALL) as client,
    ):
        listener, most = await app.listener(), 0
        pings = frame(PING, b"x" * 125) * 100
        with pytest.raises((ConnectionError, TimeoutError)):
            while True:
                await client.send(pings)
                most = max(most, listener.lane.buffered)
        await until(lambda: app.ends == [1006])
        assert most < 1_000_000  # at most what one read asks for, beyond the two limits of 64 KiB


async def test_slow_reader_that_pings_stays_connected() -> None:
    app = LaneApp(echo)
    async with running(app, ws_ping_interval=None) as server:
        client, listener = await stall(server, app)
        async with client:
            for _ in range(20):
                await client.send(frame(PING, b"x" * 125))
            reading = asyncio.create_task(client.ended())
            await until(lambda: listener.lane.buffered == 0)
            assert listener.closes == []
            listener.lane.close(1000)
            await reading


async def test_handshake_without_accept_times_out() -> None:
    cut = asyncio.Event()

    async def hesitate(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "websocket.disconnect":
            pass
        cut.set()

    async with running(hesitate) as server, await RawClient.connect(server.port) as client:
        await client.send(handshake())
        await client.ended()
        await asyncio.wait_for(cut.wait(), 6)


async def test_endless_denial_response_times_out() -> None:
    async def begin(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.http.response.start", "status": 403, "headers": []})
        await receive()
        await receive()

    async with running(begin) as server, await RawClient.connect(server.port) as client:
        await client.send(handshake())
        await client.ended()


async def test_client_sending_before_handshake_response_is_aborted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.transport.server_queues.HANDSHAKE_S", 60)

    async def hesitate(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async with running(hesitate) as server, await RawClient.connect(server.port) as client:
        await client.send(handshake())
        await until(lambda: server.sockets)
        await client.send(frame(PING, b"early"))
        async with asyncio.timeout(6):
            assert await client.reader.read() == b""


async def test_frames_sent_with_handshake_request_are_rejected() -> None:
    app = LaneApp(echo)
    async with running(app) as server, await RawClient.connect(server.port) as client:
        await client.send(handshake() + frame(TEXT, b"early"))
        async with asyncio.timeout(6):
            assert (await client.reader.read()).startswith(b"HTTP/1.1 400 ")
        assert app.listeners == []
    async with running(app) as server, await RawClient.connect(server.port) as client:
        for piece in (handshake()[:-1], handshake()[-1:]):
            await client.send(piece)
        assert (await client.answer()).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize("sent", [frame(TEXT, b"x" * 60_000)[:-1], frame(TEXT, b"hi")[:1]])
async def test_keepalive_ends_connection_with_endless_frame(sent: bytes) -> None:
    app = LaneApp(echo)
    async with (
        running(app, ws_ping_interval=0.1, ws_ping_timeout=0.1) as server,
        await RawClient.open(server.port) as client,
    ):
        await client.send(sent)
        await until(lambda: app.ends == [1006], 2)
        assert app.listeners[0].messages == []


@pytest.mark.parametrize(
    ("path", "header", "status"),
    [
        ("/", "X-Long: " + "x" * 9000, b"431"),
        ("/" + "x" * 9000, "X-A: b", b"414"),
        ("/", "\r\n".join(f"X-{number}: b" for number in range(2000)), b"431"),
        ("/", "Content-Length: 6\r\n\r\nhi", b"400"),
        ("/", "Content-Length: 2", b"400"),
        ("/", "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0", b"400"),
    ],
    ids=["a long header", "a long path", "many headers", "a body", "a body to come", "a body in chunks"],
)
async def test_handshake_valid_only_for_http_parser_is_rejected(
    path: str, header: str, status: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.transport.server_queues.HANDSHAKE_S", 60)
    async with running(LaneApp(echo)) as server, await RawClient.connect(server.port) as client:
        await client.send(handshake(path, header))
        async with asyncio.timeout(6):
            response = await client.reader.read()
        assert response.startswith(b"HTTP/1.1 " + status)
        for name, value in HEADERS.items():
            assert f"\r\n{name}: {value}\r\n".encode() in response


async def test_failed_connection_ends_while_application_is_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.transport.websocket_protocol.ABORT_S", 60)
    done = asyncio.Event()

    async def busy(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await done.wait()

    async with running(busy) as server, await RawClient.open(server.port) as client:
        await client.send(frame(TEXT, b"unread") + frame(3))
        assert [one.code for one in await client.read_all()] == [1002]
        client.writer.close()
        await until(lambda: not server.sockets, 2)
        done.set()


@pytest.mark.parametrize("app", [LaneApp(echo), starlette_echo], ids=["lane", "starlette"])
async def test_deflate_is_never_negotiated(app: Any) -> None:
    async with running(app, ws_per_message_deflate=True) as server, await RawClient.connect(server.port) as client:
        await client.send(handshake("/", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"))
        answer = await client.answer()
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"extensions" not in answer.lower()


async def test_oversized_message_gets_1009_while_it_is_being_sent() -> None:
    async with running(LaneApp(echo)) as server:
        for _ in range(10):
            async with await RawClient.open(server.port) as client:
                await client.send(frame(TEXT, b"x" * 4_000_000))
                assert [one.code for one in await client.read_all()] == [1009]
