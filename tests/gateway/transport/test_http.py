"""Limits on HTTP clients: the time and size of a request, and the time to read its response."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.interfaces.connection import HTTP_SOCKET
from gateway.transport.http_protocol import PORTION_BYTES, HttpProtocol
from gateway.transport.server_queues import BODY_S
from httpapi.body import TIMEOUT_S
from tests.gateway.transport.wire import TEXT, RawClient, Received, frame, handshake
from tests.support.transport_server import LaneApp, echo, open_files, running, until

pytestmark = pytest.mark.usefixtures("short_bounds")

KIB = 1024
ACKS_S = 45.0
SMALL = 4096


async def _ok(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


async def _body(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{len(await request.body())}")


HTTP = Starlette(routes=[Route("/", _ok), Route("/body", _body, methods=["POST"])])
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        handshake()[:-2],
        b"\r\n",
        b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
    ],
    ids=["silence", "headers", "handshake", "an empty line", "body"],
)
@pytest.mark.parametrize("used", [False, True], ids=["at first", "after another request"])
async def test_unfinished_request_times_out(sent: bytes, used: bool) -> None:
    if used and not sent:
        pytest.skip("then uvicorn's own keep-alive time-out counts")
    async with running(HTTP) as server:
        before = open_files()
        async with await RawClient.connect(server.port) as client:
            if used:
                await client.send(GET)
                assert (await client.answer()).startswith(b"HTTP/1.1 200 ")
                await client.reader.readexactly(2)
            await client.send(sent)
            async with asyncio.timeout(6):
                await client.ended()
        await until(lambda: open_files() == before)


async def test_slow_steady_headers_time_out() -> None:
    async with running(HTTP) as server, await RawClient.connect(server.port) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
        with pytest.raises(ConnectionError):
            for number in range(1000):
                await client.send(b"X-%d: a\r\n" % number)
                await asyncio.sleep(0.01)


async def test_endless_headers_are_aborted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.transport.server_queues.HEAD_S", 60)
    async with running(HTTP) as server, await RawClient.connect(server.port) as client:
        sent = 0
        with pytest.raises(ConnectionError):
            await client.send(b"GET / HTTP/1.1\r\nX-Long: ")
            while sent < 64 * 1024 * KIB:
                await client.send(b"x" * 16 * KIB)
                sent += 16 * KIB


async def test_many_quick_requests_keep_connection_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.transport.server_queues.HEAD_S", 1.0)  # for each; all take longer
    monkeypatch.setattr("gateway.transport.server_queues.BODY_S", 60)
    async with running(HTTP) as server, await RawClient.connect(server.port) as client:
        for _ in range(30):
            await client.send(GET[:-2], b"X-Long: " + b"x" * 4 * KIB)
            await asyncio.sleep(0.04)
            await client.send(b"\r\n\r\n", b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n", b"body")
            for _ in range(2):
                head = await client.answer()
                assert head.startswith(b"HTTP/1.1 200 ")
                assert await client.reader.readexactly(2 if b"length: 2" in head else 1) in (b"ok", b"4")


async def test_pipelined_request_does_not_time_out_behind_slow_one() -> None:
    has_begun = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        has_begun.set()
        await asyncio.sleep(0.15)
        await PlainTextResponse(await Request(scope, receive).body())(scope, receive, send)

    async with running(slow) as server, await RawClient.connect(server.port) as client:
        request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"
        await client.send(request + b"1")
        await has_begun.wait()
        await client.send(request)  # its headers are read, and then nothing until the first is answered
        await asyncio.sleep(0.01)
        await client.send(b"2")
        for body in (b"1", b"2"):
            assert (await client.answer()).startswith(b"HTTP/1.1 200 ")
            assert await client.reader.readexactly(1) == body


async def test_body_may_take_longer_than_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.transport.server_queues.BODY_S", 60)
    async with running(HTTP) as server, await RawClient.connect(server.port) as client:
        await client.send(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n")
        for _ in range(20):
            await client.send(b"x")
            await asyncio.sleep(0.01)
        assert (await client.answer()).startswith(b"HTTP/1.1 200 ")
        assert await client.reader.readexactly(2) == b"20"


def test_body_timeout_leaves_time_for_408() -> None:
    assert TIMEOUT_S < BODY_S


async def test_many_requests_in_one_write_are_not_a_long_head() -> None:
    count = 6_000  # 162 KiB, and then a part of one more
    async with running(HTTP) as server, await RawClient.connect(server.port) as client:
        await client.send(GET[:-2])
        await until(lambda: server.server_state.connections)
        await client.send(b"\r\n" + GET * count + GET[:-2])
        for _ in range(count):
            assert (await client.answer()).startswith(b"HTTP/1.1 200 ")
            await client.reader.readexactly(2)


async def _large(_: Request) -> PlainTextResponse:
    return PlainTextResponse("x" * LARGE)


async def _endless(_: Request) -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 60 * KIB
            await asyncio.sleep(0)  # uvicorn's send returns at once when the client is gone

    return StreamingResponse(chunks())


LARGE = 8 * KIB * KIB
ANSWERS = Starlette(routes=[Route("/large", _large), Route("/endless", _endless), Route("/", _ok)])


@pytest.mark.parametrize("path", ["/large", "/endless"])
@pytest.mark.parametrize("header", ["", "Connection: close\r\n"], ids=["kept", "closed"])
async def test_unread_response_is_aborted(path: str, header: str) -> None:
    async with running(ANSWERS) as server:
        before = open_files()
        async with await RawClient.connect(server.port, receive_buffer=SMALL) as client:
            await client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n{header}\r\n".encode())
            await until(lambda: open_files() == before + 2)
            await until(lambda: not server.server_state.connections and not server.server_state.tasks, 2)
        await until(lambda: open_files() == before)


async def test_unread_end_of_response_is_aborted() -> None:
    async def fill(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        (connection,) = server.server_state.connections
        while not connection.transport.get_write_buffer_size():
            await send({"type": "http.response.body", "body": b"x" * 1024, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async with (
        running(fill, timeout_keep_alive=0.1) as server,
        await RawClient.connect(server.port, receive_buffer=SMALL) as client,
    ):
        await client.send(GET)
        await until(lambda: server.server_state.connections)
        await until(lambda: not server.server_state.connections, 2)


async def test_response_read_in_time_is_complete_and_keeps_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.transport.http_protocol.STALL_S", 1.5)
    async with running(ANSWERS) as server, await RawClient.connect(server.port, receive_buffer=SMALL) as client:
        await client.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await client.answer()
        assert await client.reader.readexactly(LARGE) == b"x" * LARGE
        await asyncio.sleep(1.7)  # a bound that was not lifted would cut it now
        await client.send(GET)
        assert (await client.answer()).startswith(b"HTTP/1.1 200 ")


async def test_request_timeouts_do_not_apply_to_websocket() -> None:
    async with running(LaneApp(echo)) as server, await RawClient.connect(server.port) as client:
        request = handshake()
        await client.send(request[:50])
        await until(lambda: server.server_state.connections)
        await client.send(request[50:])
        assert (await client.answer()).startswith(b"HTTP/1.1 101 ")
        (socket,) = server.sockets
        assert socket._transport.get_write_buffer_limits() == (16 * KIB, 64 * KIB)
        await asyncio.sleep(0.3)  # thrice every bound
        await client.send(frame(TEXT, b"hi"))
        assert await client.read() == Received(TEXT, b"hi")


@pytest.mark.parametrize("headers", [[], ["Connection: Upgrade"]], ids=["plain", "not plain"])
async def test_http_response_is_never_sent_between_frames(headers: list[str]) -> None:
    answered = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await LaneApp(echo)(scope, receive, send)
        else:
            await answered.wait()
            await PlainTextResponse("ok")(scope, receive, send)

    async with running(app) as server, await RawClient.connect(server.port) as client:
        await client.send(GET + handshake("/", *headers))
        await client.ended()
        answered.set()


async def test_websocket_is_not_opened_behind_unread_response() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await LaneApp(echo)(scope, receive, send)
        else:
            await PlainTextResponse("x" * 16 * KIB * KIB)(scope, receive, send)

    async with running(app) as server, await RawClient.connect(server.port, receive_buffer=SMALL) as client:
        await client.send(GET)
        await client.answer()
        await client.send(handshake())
        await until(lambda: not server.server_state.connections)


async def test_pipelined_requests_are_parsed_in_portions_in_order() -> None:
    count, most = 4_000, 0
    numbers: list[int] = []

    async def number(request: Request) -> PlainTextResponse:
        nonlocal most
        numbers.append(int(request.query_params["n"]))
        most = max([most, *(len(one.pipeline) for one in server.server_state.connections)])
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/", number)])
    async with running(app) as server, await RawClient.connect(server.port) as client:
        sending = asyncio.create_task(
            client.send(b"".join(b"GET /?n=%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(count)))
        )
        while len(numbers) < count - 1:
            await client.reader.read(65_536)
        await sending
        await until(lambda: len(numbers) == count)
        assert numbers == list(range(count))
        assert most < 2 * PORTION_BYTES // 30


@pytest.mark.parametrize("pause_s", [0, 0.002], ids=["quick reader", "slow reader"])
async def test_input_buffered_behind_earlier_requests_is_bounded(pause_s: float) -> None:
    count, held = 2_000, 0
    numbers: list[int] = []

    async def number(request: Request) -> PlainTextResponse:
        nonlocal held
        body = await request.body()  # here uvicorn would read on
        for _ in range(3):
            await asyncio.sleep(0)
        numbers.append(int(request.query_params["n"]))
        assert body == b"x" * int(request.headers.get("content-length", "0"))
        held = max([held, *(len(one._unread) for one in protocols())])
        return PlainTextResponse("ok")

    def protocols() -> list[HttpProtocol]:
        return [one for one in server.server_state.connections if isinstance(one, HttpProtocol)]

    app = Starlette(routes=[Route("/", number, methods=["GET", "POST"])])
    kinds = [
        b"GET /?n=%d HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 3 * KIB + b"\r\n\r\n",
        b"POST /?n=%d HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5_000,
        b"POST /?n=%d HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n" + b"x" * 9,
    ]
    data = b"".join(kinds[n % 3] % n for n in range(count))
    async with running(app) as server, await RawClient.connect(server.port) as client:
        sending = asyncio.create_task(client.send(data))
        async with asyncio.timeout(30):
            answers = b""
            while answers.count(b"HTTP/1.1 200 ") < count:
                answers += await client.reader.read(65_536)
                await asyncio.sleep(pause_s)
            await sending
        assert numbers == list(range(count))
        assert held <= 256 * KIB, "more than one read"
        assert [len(one._unread) for one in protocols()] == [0]


async def test_pipelined_body_of_several_reads_is_complete() -> None:
    size = 3_000_000
    async with running(HTTP) as server, await RawClient.connect(server.port) as client:
        post = b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
        await client.send((GET * 200 + post) * 3)
        for body in ([b"ok"] * 200 + [b"%d" % size]) * 3:
            assert (await client.answer()).startswith(b"HTTP/1.1 200 ")
            assert await client.reader.readexactly(len(body)) == body


@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
async def test_disconnect_with_pending_requests_ends_response_cleanly(
    is_reset: bool, caplog: pytest.LogCaptureFixture
) -> None:
    begun, ends = asyncio.Event(), []

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        begun.set()
        ends.append((await receive())["type"])
        await PlainTextResponse("ok")(scope, receive, send)

    async with running(answer) as server:
        async with await RawClient.connect(server.port) as client:
            await client.send(GET * 10)
            await begun.wait()
            if is_reset:
                sock = client.writer.transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await until(lambda: not server.server_state.tasks)
    assert ends == ["http.disconnect"]
    assert caplog.messages == []


async def test_application_bounds_acks_and_aborts_its_socket() -> None:
    timeouts: list[int] = []

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        own: Any = scope["extensions"][HTTP_SOCKET]
        own.expect_acks(ACKS_S)
        peer = own.transport.get_extra_info("socket")
        timeouts.append(peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        own.abort()
        await send({"type": "http.response.body", "body": b"x" * KIB * KIB, "more_body": True})
        own.expect_acks(ACKS_S)  # the socket is gone

    async with running(app) as server, await RawClient.connect(server.port) as client:
        await client.send(GET)
        with suppress(ConnectionError):
            assert not (await client.reader.read()).endswith(b"x")
    assert timeouts == [ACKS_S * 1000]
