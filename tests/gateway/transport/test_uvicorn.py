"""What uvicorn does by itself, and why our classes exist. When one of these fails after an update, a part may go.

Each has a twin, named beside it, that shows ours do otherwise.
"""

import asyncio
import logging
from typing import Any, Final

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gateway.transport.fragments import MAX_FRAGMENTS
from tests.gateway.transport.wire import CONT, PING, TEXT, RawClient, Received, frame, handshake
from tests.support.transport_server import running, starlette_echo, until

THEIRS: Final[dict[str, Any]] = {
    "ws": WebSocketsSansIOProtocol,
    "http": HttpToolsProtocol,
    "ws_per_message_deflate": False,
}


async def _flood(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "websocket.accept"})
    while True:
        await send({"type": "websocket.send", "bytes": b"x" * 60_000})


async def test_stalled_reader_is_kept_after_keepalive_close() -> None:
    """test_bounds: stalled reader does not block application send."""
    async with (
        running(_flood, ws_ping_interval=0.05, ws_ping_timeout=0.05, **THEIRS) as server,
        await RawClient.open(server.port, receive_buffer=4096),
    ):
        (socket_there,) = server.sockets
        await until(socket_there.transport.is_closing)
        await asyncio.sleep(0.3)
        assert server.sockets == {socket_there}
        assert server.server_state.tasks, "the application still waits in send"


async def test_fragments_are_not_limited() -> None:
    """test_conformance: endless empty fragments."""
    async with running(starlette_echo, **THEIRS) as server, await RawClient.open(server.port) as client:
        await client.send(frame(TEXT, b"hi", fin=False) + frame(CONT, fin=False) * 20 * MAX_FRAGMENTS + frame(CONT))
        assert await client.read() == Received(TEXT, b"hi")


async def test_pongs_accumulate_for_peer_that_never_reads() -> None:
    """test_bounds: ping flood by peer that never reads is aborted."""
    async with (
        running(starlette_echo, ws_ping_interval=None, **THEIRS) as server,
        await RawClient.open(server.port, receive_buffer=4096) as client,
    ):
        (socket_there,) = server.sockets
        pings = frame(PING, b"x" * 125) * 1_000
        while socket_there.transport.get_write_buffer_size() < 2_000_000:
            await client.send(pings)


async def test_busy_application_loses_healthy_client() -> None:
    """test_lane: a healthy peer survives the listener's own pause."""

    async def busy(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await asyncio.Event().wait()

    async with (
        running(busy, ws_ping_interval=0.05, ws_ping_timeout=0.05, **THEIRS) as server,
        await RawClient.open(server.port) as client,
    ):
        await client.send(frame(TEXT, b"unread"))
        while (received := await client.read()) is not None and received.opcode == PING:
            await client.send(frame(0xA, received.payload))
        assert received is not None
        assert received.code == 1011
        for task in list(server.server_state.tasks):
            task.cancel()


async def test_connection_without_request_is_kept() -> None:
    """test_http: unfinished request times out."""
    async with running(starlette_echo, timeout_keep_alive=0, **THEIRS) as server, await RawClient.connect(server.port):
        await until(lambda: server.server_state.connections)
        await asyncio.sleep(0.3)
        assert server.server_state.connections


async def test_urls_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """test_silence: logs contain no token."""
    with caplog.at_level(logging.INFO):
        async with running(starlette_echo, **THEIRS) as server, await RawClient.open(server.port, "/?token=secret"):
            pass
    assert "token=secret" in caplog.text


async def test_protocol_failure_resets_client_that_is_still_sending() -> None:
    """test_bounds: oversized message gets 1009 while it is being sent."""
    losses = 0
    async with running(starlette_echo, **THEIRS) as server:
        for _ in range(10):
            async with await RawClient.open(server.port) as client:
                try:
                    await client.send(frame(TEXT, b"x" * 4_000_000))
                    await client.read_all()
                except (ConnectionError, asyncio.IncompleteReadError):
                    losses += 1
    assert losses > 0


async def test_frames_sent_with_handshake_are_dropped() -> None:
    """test_bounds: frames sent with handshake request are rejected."""
    async with running(starlette_echo, **THEIRS) as server, await RawClient.connect(server.port) as client:
        await client.send(handshake() + frame(TEXT, b"early"))
        assert (await client.answer()).startswith(b"HTTP/1.1 101 ")
        await client.send(frame(TEXT, b"late"))
        assert await client.read() == Received(TEXT, b"late")
