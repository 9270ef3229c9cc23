"""What a client that speaks HTTP cannot do: take for ever over a request, or over its answer."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from auth.body import TIMEOUT_S
from gateway.http_transport import BODY_S
from tests.gateway.transport.server import LaneApp, echo, open_files, running, until
from tests.gateway.transport.wire import TEXT, RawClient, Received, frame, handshake

pytestmark = pytest.mark.usefixtures("short_bounds")

KIB = 1024
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
async def test_a_request_that_never_ends_is_cut(sent: bytes, used: bool) -> None:
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
            async with asyncio.timeout(2):
                await client.ended()
        await until(lambda: open_files() == before)


async def test_slow_headers_are_cut_however_steadily_they_come() -> None:
    async with running(HTTP) as server, await RawClient.connect(server.port) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
        with pytest.raises(ConnectionError):
            for number in range(1000):
                await client.send(b"X-%d: a\r\n" % number)
                await asyncio.sleep(0.01)


async def test_endless_headers_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.http_transport.HEAD_S", 60)
    async with running(HTTP) as server, await RawClient.connect(server.port) as client:
        sent = 0
        with pytest.raises(ConnectionError):
            await client.send(b"GET / HTTP/1.1\r\nX-Long: ")
            while sent < 64 * 1024 * KIB:
                await client.send(b"x" * 16 * KIB)
                sent += 16 * KIB


async def test_quick_requests_on_one_connection_live_on() -> None:
    async with running(HTTP) as server, await RawClient.connect(server.port) as client:
        for _ in range(30):
            await client.send(GET[:-2], b"X-Long: " + b"x" * 4 * KIB)
            await asyncio.sleep(0.01)
            await client.send(b"\r\n\r\n", b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n", b"body")
            for _ in range(2):
                head = await client.answer()
                assert head.startswith(b"HTTP/1.1 200 ")
                assert await client.reader.readexactly(2 if b"length: 2" in head else 1) in (b"ok", b"4")


async def test_a_request_is_not_cut_while_an_earlier_one_is_answered() -> None:
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


async def test_a_body_may_take_longer_than_the_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.http_transport.BODY_S", 60)
    async with running(HTTP) as server, await RawClient.connect(server.port) as client:
        await client.send(b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n")
        for _ in range(20):
            await client.send(b"x")
            await asyncio.sleep(0.01)
        assert (await client.answer()).startswith(b"HTTP/1.1 200 ")
        assert await client.reader.readexactly(2) == b"20"


def test_applications_have_the_time_to_answer_408() -> None:
    assert TIMEOUT_S < BODY_S


async def test_requests_in_one_write_are_not_taken_for_a_long_head() -> None:
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
async def test_an_answer_that_is_never_read_is_given_up(path: str, header: str) -> None:
    async with running(ANSWERS) as server:
        before = open_files()
        async with await RawClient.connect(server.port, receive_buffer=SMALL) as client:
            await client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n{header}\r\n".encode())
            await until(lambda: open_files() == before + 2)
            await until(lambda: not server.server_state.connections and not server.server_state.tasks, 2)
        await until(lambda: open_files() == before)


async def test_the_last_bytes_of_an_answer_that_is_never_read_are_given_up() -> None:
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


async def test_an_answer_that_is_read_in_time_is_whole_and_the_connection_lives_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.http_transport.STALL_S", 0.3)
    async with running(ANSWERS) as server, await RawClient.connect(server.port, receive_buffer=SMALL) as client:
        await client.send(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await client.answer()
        assert await client.reader.readexactly(LARGE) == b"x" * LARGE
        await asyncio.sleep(0.4)  # a bound that was not lifted would cut it now
        await client.send(GET)
        assert (await client.answer()).startswith(b"HTTP/1.1 200 ")


async def test_no_bound_on_requests_is_left_on_a_websocket() -> None:
    async with running(LaneApp(echo)) as server, await RawClient.connect(server.port) as client:
        request = handshake()
        await client.send(request[:50])
        await until(lambda: server.server_state.connections)
        await client.send(request[50:])
        assert (await client.answer()).startswith(b"HTTP/1.1 101 ")
        (socket,) = server.sockets
        assert socket.transport.get_write_buffer_limits() == (16 * KIB, 64 * KIB)
        await asyncio.sleep(0.3)  # thrice every bound
        await client.send(frame(TEXT, b"hi"))
        assert await client.read() == Received(TEXT, b"hi")


@pytest.mark.parametrize("headers", [[], ["Connection: Upgrade"]], ids=["plain", "not plain"])
async def test_no_answer_comes_in_the_middle_of_frames(headers: list[str]) -> None:
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


async def test_a_socket_is_not_opened_behind_an_answer_that_is_not_read() -> None:
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
