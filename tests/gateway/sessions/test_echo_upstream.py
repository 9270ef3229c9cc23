"""The echo channel in proxy mode, with real WebSocket servers in every state."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from gateway.protocol.codes import Close, Disconnect
from gateway.sessions import echo
from gateway.sessions import echo_upstream as upstream
from gateway.sessions.echo_transcript import WINDOW_BYTES
from gateway.transport import websocket_protocol
from storage.records import Direction
from tests.gateway.echo_server import EchoServer, echo_server, end_of, everything
from tests.gateway.transport.wire import BINARY, RawClient, frame
from tests.support.certificates import Authority
from tests.support.servers import free_port
from tests.support.transport_server import until

GREETING = "Request served by an upstream"
IN, OUT = Direction.IN, Direction.OUT


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the environment's in between."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@asynccontextmanager
async def upstream_server(handler: Callable[[ServerConnection], Awaitable[None]], **options: Any) -> AsyncIterator[str]:
    """A real server's URL."""
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/"


@asynccontextmanager
async def silent_server(begun: asyncio.Event | None = None) -> AsyncIterator[str]:
    """A server that takes connections, and then neither says nor does anything."""

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if begun is not None:
            begun.set()
        try:
            await reader.read()
        finally:
            writer.close()

    server = await asyncio.start_server(stall, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


@asynccontextmanager
async def proxied(url: str, *, holds: bool = False) -> AsyncIterator[tuple[EchoServer, ClientConnection]]:
    """An echo that is proxied to there, and a client in it."""
    async with echo_server(url, holds=holds) as server, server.client() as client:
        yield server, client


async def greeting_echo(connection: ServerConnection) -> None:
    await connection.send(GREETING)
    async for message in connection:
        await connection.send(message)


async def lost(server: EchoServer, client: ClientConnection, end: str) -> None:
    """The client is closed with a code that permits a reconnect, and the loss is counted."""
    assert await end_of(client) == (Close.UPSTREAM_LOST, f"upstream {end}")
    assert Close.UPSTREAM_LOST.may_reconnect
    assert server.metric("chat_gateway_upstream_ends_total", end=end) == 1


async def test_messages_pass_both_ways_and_are_stored() -> None:
    sent: list[str | bytes] = ["", "Привет \0", b"", bytes(range(256)), "x" * 65_536]
    async with upstream_server(greeting_echo) as url, proxied(url) as (server, client):
        for message in sent:
            await client.send(message)
        async with asyncio.timeout(10):
            assert [await client.recv() for _ in range(6)] == [GREETING, *sent]
        payloads = [message.encode() if isinstance(message, str) else message for message in sent]
        assert server.transcripts.payloads(IN) == payloads
        assert server.transcripts.payloads(OUT) == [GREETING.encode(), *payloads]
        assert [line.place for line in server.transcripts.stored] == list(range(1, 12))
        assert [x.is_text for x in server.transcripts.stored if x.direction is IN] == [True, True, False, False, True]


async def test_messages_pass_over_tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "private")
    pair = authority.issue("upstream", "IP:127.0.0.1")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pair.certificate, pair.key)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    async with upstream_server(greeting_echo, ssl=tls) as url, proxied(url.replace("ws:", "wss:")) as (_, client):
        async with asyncio.timeout(10):
            assert await client.recv() == GREETING


async def test_messages_pass_only_after_they_are_stored() -> None:
    received: list[str | bytes] = []

    async def handler(connection: ServerConnection) -> None:
        async for message in connection:
            received.append(message)
            await connection.send("answer")

    async with upstream_server(handler) as url, proxied(url, holds=True) as (server, client):
        await client.send("question")
        await until(lambda: server.transcripts.waiting)
        with pytest.raises(TimeoutError):
            await until(lambda: received, 0.2)
        server.transcripts.answer()
        await until(lambda: received == ["question"] and server.transcripts.waiting)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.recv(), 0.2)
        server.transcripts.answer()
        assert await asyncio.wait_for(client.recv(), 10) == "answer"


async def test_unreachable_upstream_closes_client_at_once() -> None:
    async with proxied(f"ws://127.0.0.1:{free_port()}/") as (server, client):
        await lost(server, client, "unreachable")


async def test_unresolvable_upstream_closes_client() -> None:
    async with proxied("ws://nobody.invalid/") as (server, client):
        await lost(server, client, "unreachable")


async def test_rejected_upstream_handshake_closes_client() -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "not now")

    async with upstream_server(greeting_echo, process_request=refuse) as url, proxied(url) as (server, client):
        await lost(server, client, "unreachable")


async def test_unanswered_upstream_handshake_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "CONNECT_S", 0.3)
    async with silent_server() as url, proxied(url) as (server, client):
        await client.send("is anybody there?")
        await lost(server, client, "unreachable")
        assert server.transcripts.payloads(IN) == [b"is anybody there?"]


@pytest.mark.parametrize(("code", "words"), [(1000, ["last", "words"]), (1011, []), (4400, ["why"])])
async def test_last_upstream_messages_arrive_before_close(code: int, words: list[str]) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.recv()
        for word in words:
            await connection.send(word)
        await connection.close(code, "for reasons of its own")

    async with upstream_server(handler) as url, proxied(url) as (server, client):
        await client.send("go")
        assert await everything(client) == words
        await lost(server, client, "closed")
        assert server.transcripts.payloads(OUT) == [word.encode() for word in words]


async def test_upstream_close_waits_until_last_message_is_stored() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.send("goodbye")

    async with upstream_server(handler) as url, proxied(url, holds=True) as (server, client):
        await until(lambda: server.transcripts.waiting)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.recv(), 0.2)
        server.transcripts.answer()
        assert await everything(client) == ["goodbye"]
        await lost(server, client, "closed")


async def test_aborted_upstream_connection_closes_client() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.recv()
        connection.transport.abort()

    async with upstream_server(handler) as url, proxied(url) as (server, client):
        await client.send("go")
        await lost(server, client, "closed")


async def test_slow_upstream_response_is_awaited() -> None:
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def handler(connection: ServerConnection) -> None:
        async for message in connection:
            asked.set()
            await may_answer.wait()
            await connection.send(message)

    async with upstream_server(handler) as url, proxied(url) as (_, client):
        await client.send("patience")
        await asyncio.wait_for(asked.wait(), 10)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.recv(), 0.3)
        may_answer.set()
        assert await asyncio.wait_for(client.recv(), 10) == "patience"


async def test_upstream_without_pongs_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "PING_S", 0.2)
    monkeypatch.setattr(upstream, "CLOSE_S", 0.2)

    async def handler(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await connection.wait_closed()

    async with upstream_server(handler, close_timeout=0.1) as url, proxied(url) as (server, client):
        await client.send("hello?")
        await lost(server, client, "silent")


async def test_upstream_that_reads_nothing_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upstream, "SEND_S", 1.0)
    monkeypatch.setattr(upstream, "CLOSE_S", 0.2)

    async def handler(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await connection.wait_closed()

    async with upstream_server(handler, close_timeout=0.1) as url, proxied(url) as (server, client):
        flooding = asyncio.create_task(_flood(client))
        await lost(server, client, "too slow")
        await asyncio.gather(flooding, return_exceptions=True)
        session: Any = server.sessions[0]
        assert session._link.queued <= 3 * WINDOW_BYTES


@pytest.mark.parametrize(
    "junk",
    [frame(BINARY, b"masked, as a server's may not be"), b"\x83\x00", b"\x81\x02\xff\xff", b"GET / HTTP/1.1\r\n\r\n"],
    ids=["masked", "opcode", "utf-8", "http"],
)
async def test_invalid_upstream_frames_close_client(junk: bytes) -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.recv()
        connection.transport.write(junk)
        await connection.wait_closed()

    async with upstream_server(handler) as url, proxied(url) as (server, client):
        await client.send("go")
        assert await everything(client) == []
        await lost(server, client, "broken")


async def test_too_long_upstream_message_closes_client() -> None:
    async def handler(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send("x" * 65_537)
        await connection.wait_closed()

    async with upstream_server(handler) as url, proxied(url) as (server, client):
        await client.send("go")
        assert await everything(client) == []
        await lost(server, client, "broken")


async def test_flooding_upstream_gets_backpressure_from_client(monkeypatch: pytest.MonkeyPatch) -> None:
    payload, count, sent = os.urandom(60_000), 400, 0

    async def handler(connection: ServerConnection) -> None:
        nonlocal sent
        for _ in range(count):
            await connection.send(payload)
            sent += 1
        await connection.wait_closed()

    async with (
        upstream_server(handler) as url,
        echo_server(url) as server,
        await RawClient.open(server.port, receive_buffer=4096) as client,
    ):
        await until(lambda: sent)
        with pytest.raises(TimeoutError):
            await until(lambda: sent == count, 1)
        frames = [await client.read() for _ in range(count)]
        assert all(one is not None and one.payload == payload for one in frames)


async def test_client_that_never_reads_is_closed_with_its_upstream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(echo, "TAKE_S", 0.3)
    monkeypatch.setattr(websocket_protocol, "ABORT_S", 0.3)
    monkeypatch.setattr(upstream, "CLOSE_S", 0.3)
    left = asyncio.Event()

    async def handler(connection: ServerConnection) -> None:
        try:
            while True:
                await connection.send(b"x" * 60_000)
        finally:
            left.set()

    async with (
        upstream_server(handler) as url,
        echo_server(url) as server,
        await RawClient.open(server.port, receive_buffer=4096),
    ):
        await until(lambda: server.ends)
        assert server.ends == [Close.SLOW_CONSUMER]
        await asyncio.wait_for(left.wait(), 10)


async def test_message_that_cannot_be_stored_is_not_sent_upstream() -> None:
    received: list[str | bytes] = []

    async def handler(connection: ServerConnection) -> None:
        received.append(await connection.recv())

    async with upstream_server(handler) as url, proxied(url, holds=True) as (server, client):
        await client.send("secret")
        await until(lambda: server.transcripts.waiting)
        server.transcripts.answer(is_stored=False)
        assert await end_of(client) == (Close.INTERNAL, "the transcript could not be stored")
        await until(lambda: len(server.echo.tasks) == 0)
        assert received == []


async def test_client_disconnect_closes_upstream_connection() -> None:
    closed = list[int | None]()

    async def handler(connection: ServerConnection) -> None:
        await connection.send(GREETING)
        await connection.wait_closed()
        closed.append(connection.close_code)

    async with upstream_server(handler) as url, proxied(url) as (server, client):
        assert await asyncio.wait_for(client.recv(), 10) == GREETING
        await client.close()
        await until(lambda: closed)
        assert closed == [1000]
        await until(lambda: len(server.echo.tasks) == 0)


async def test_client_disconnect_during_connect_leaves_no_task() -> None:
    begun = asyncio.Event()
    async with silent_server(begun) as url, proxied(url) as (server, client):
        await asyncio.wait_for(begun.wait(), 10)
        await client.close()
        await until(lambda: len(server.echo.tasks) == 0)


async def test_closing_an_upstream_that_reads_nothing_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upstream, "CLOSE_S", 0.3)

    async def handler(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await connection.wait_closed()

    async with upstream_server(handler, close_timeout=0.1) as url, proxied(url) as (server, client):
        flooding = asyncio.create_task(_flood(client))
        done, _ = await asyncio.wait([flooding], timeout=1)
        assert not done
        server.sessions[0].close(Disconnect(Close.DRAIN))
        assert (await end_of(client))[0] == Close.DRAIN
        await until(lambda: len(server.echo.tasks) == 0, 3)
        await asyncio.gather(flooding, return_exceptions=True)


async def _flood(client: ClientConnection) -> None:
    """120 MB: the kernel's buffers of two connections take up to 74."""
    for _ in range(2000):
        await client.send(b"x" * 60_000)
        await asyncio.sleep(0)  # so that each is a read of its own
