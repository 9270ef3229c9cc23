"""The direct connection: which calls a listener gets, in which order, and what a close does."""

import asyncio
import logging
import socket
import struct
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from gateway.interfaces.connection import CONNECTION, Connection
from gateway.protocol.frames import text_frame
from tests.gateway.transport.wire import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    TIMEOUT_S,
    RawClient,
    Received,
    close,
    frame,
)
from tests.support.transport_server import LaneApp, Listener, closed, echo, running, until


async def test_client_library_gets_its_messages_echoed() -> None:
    async with running(LaneApp(echo)) as server, connect(f"ws://127.0.0.1:{server.port}/", proxy=None) as socket:
        for message in ("text", "κόσμε", b"\x00\xff", "", "a" * 65_536):
            await socket.send(message)
            assert await socket.recv() == message
        await asyncio.wait_for(await socket.ping(), TIMEOUT_S)


async def test_messages_before_attach_are_delivered_first_in_order() -> None:
    may_attach = asyncio.Event()

    async def wait(_: Connection) -> None:
        await may_attach.wait()

    app = LaneApp(echo, before_attach=wait)
    async with running(app) as server, await RawClient.open(server.port) as client:
        await client.send(frame(BINARY), frame(TEXT, b"0"), frame(BINARY, b"1"), frame(TEXT, b"2", fin=False))
        await until(lambda: all(not socket.queue.empty() for socket in server.sockets))
        may_attach.set()
        listener = await app.listener()
        await client.send(frame(CONT, b"!"), frame(TEXT, b"3"))
        await until(lambda: len(listener.messages) == 5)
        assert listener.messages == [(b"", False), (b"0", True), (b"1", False), (b"2!", True), (b"3", True)]


async def test_pause_before_attach_holds_delivery_until_resume() -> None:
    may_attach = asyncio.Event()

    async def pause(lane: Connection) -> None:
        await may_attach.wait()
        lane.pause_reading()

    app = LaneApp(before_attach=pause)
    async with running(app) as server, await RawClient.open(server.port) as client:
        await client.send(frame(TEXT, b"0"))
        await until(lambda: all(not socket.queue.empty() for socket in server.sockets))
        may_attach.set()
        listener = await app.listener()
        (socket,) = server.sockets
        await client.send(frame(TEXT, b"1"))
        await asyncio.sleep(0.05)
        assert not socket._transport.is_reading()
        assert listener.messages == []
        listener.lane.resume_reading()
        await until(lambda: listener.messages == [(b"0", True), (b"1", True)])


async def test_ten_thousand_writes_arrive_in_order() -> None:
    def flood(listener: Listener, *_: object) -> None:
        for number in range(10_000):
            listener.lane.write(text_frame(b"%d" % number))

    async with running(LaneApp(flood)) as server, await RawClient.open(server.port) as client:
        await client.send(frame(TEXT, b"go"))
        assert [await client.read() for _ in range(10_000)] == [Received(TEXT, b"%d" % n) for n in range(10_000)]


async def test_paused_connection_delivers_everything_after_resume() -> None:
    def pause(listener: Listener, *_: object) -> None:
        if len(listener.messages) in (1, 500):
            listener.lane.pause_reading()

    app = LaneApp(pause)
    async with running(app) as server, await RawClient.open(server.port) as client:
        await client.send(b"".join(frame(TEXT, b"%d" % number) for number in range(1_000)))
        listener = await app.listener()
        for count in (1, 500, 1_000):
            await until(lambda: len(listener.messages) == count)  # noqa: B023  awaited here
            await client.send(frame(PONG))
            await asyncio.sleep(0)
            assert len(listener.messages) == count
            listener.lane.resume_reading()
        await client.send(frame(TEXT, b"1000"))
        await until(lambda: len(listener.messages) == 1_001)
        assert [payload for payload, _ in listener.messages] == [b"%d" % number for number in range(1_001)]


async def test_paused_connection_keeps_healthy_peer() -> None:
    def pause(listener: Listener, *_: object) -> None:
        if len(listener.messages) == 1:
            listener.lane.pause_reading()

    app = LaneApp(pause)
    async with (
        running(app, ws_ping_interval=0.05, ws_ping_timeout=0.05) as server,
        connect(f"ws://127.0.0.1:{server.port}/", proxy=None, ping_interval=None) as socket,
    ):
        await socket.send("pause")
        listener = await app.listener()
        await until(lambda: listener.messages)
        await asyncio.sleep(0.3)  # several time-outs, during which its pongs lie unread
        listener.lane.resume_reading()
        await socket.send("still here")
        await until(lambda: len(listener.messages) == 2)
        assert listener.closes == []


async def test_held_messages_are_delivered_before_peer_close() -> None:
    def pause(listener: Listener, *_: object) -> None:
        listener.lane.pause_reading()

    app = LaneApp(pause)
    async with running(app) as server, await RawClient.open(server.port) as client:
        await client.send(frame(TEXT, b"0") + frame(TEXT, b"1") + close(1000))
        assert [one.code for one in await client.read_all()] == [1000]
        listener = await app.listener()
        assert listener.messages == [(b"0", True), (b"1", True)]
        assert listener.closes == [1000]


@pytest.mark.parametrize(
    ("sent", "told"),
    [(close(), 1005), (close(1000), 1000), (close(4321, b"why"), 4321), (frame(3), 1002), (frame(TEXT, b"\xff"), 1007)],
)
async def test_listener_gets_close_code_once(sent: bytes, told: int) -> None:
    app = LaneApp(echo)
    async with running(app) as server, await RawClient.open(server.port) as client:
        listener = await app.listener()
        await client.send(sent)
        await client.read_all()
        client.writer.close()
        await until(lambda: app.ends)
        assert (listener.closes, app.ends) == ([told], [told])


async def test_vanished_peer_is_1006() -> None:
    app = LaneApp(echo)
    async with running(app) as server, await RawClient.open(server.port) as client:
        listener = await app.listener()
        client.writer.transport.abort()
        await until(lambda: app.ends)
        assert (listener.closes, app.ends) == ([1006], [1006])


async def test_reset_by_peer_is_1006() -> None:
    app = LaneApp(echo)
    async with running(app) as server, await RawClient.open(server.port) as client:
        listener = await app.listener()
        peer = client.writer.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.writer.transport.abort()
        await until(lambda: app.ends)
        assert (listener.closes, app.ends) == ([1006], [1006])


async def test_peer_without_pongs_is_sent_1011_and_reported_as_1006() -> None:
    app = LaneApp(echo)
    async with (
        running(app, ws_ping_interval=0.05, ws_ping_timeout=0.05) as server,
        await RawClient.open(server.port) as client,
    ):
        listener = await app.listener()
        received = await client.read_all()
        assert [one.opcode for one in received] == [PING, CLOSE]
        assert received[-1].code == 1011
        await until(lambda: app.ends)
        assert (listener.closes, app.ends) == ([1006], [1006])


async def test_close_before_attach_is_reported_on_attach() -> None:
    async def until_gone(lane: Connection) -> None:
        await closed(lane)

    app = LaneApp(echo, before_attach=until_gone)
    async with running(app) as server, await RawClient.open(server.port) as client:
        await client.send(frame(TEXT, b"last words") + close(4000))
        await client.read_all()
        await until(lambda: app.ends)
        assert app.listeners[0].messages == [(b"last words", True)]
        assert app.listeners[0].closes == [4000]


async def test_server_close_reaches_client_and_is_reported() -> None:
    app = LaneApp()
    async with running(app) as server, connect(f"ws://127.0.0.1:{server.port}/", proxy=None) as socket:
        listener = await app.listener()
        listener.lane.write(text_frame(b"before"))
        listener.lane.close(4409, "replaced")
        listener.lane.close(4000, "too late")
        listener.lane.write(text_frame(b"after"))
        assert await socket.recv() == "before"
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert (socket.close_code, socket.close_reason) == (4409, "replaced")
        await until(lambda: app.ends)
        assert (listener.closes, app.ends) == ([4409], [4409])


async def test_nothing_is_delivered_or_sent_after_server_close() -> None:
    def hang_up(listener: Listener, *_: object) -> None:
        listener.lane.close(4001)

    app = LaneApp(hang_up)
    async with running(app) as server, await RawClient.open(server.port) as client:
        await client.send(frame(TEXT, b"0") + frame(TEXT, b"1"), frame(TEXT, b"2"), frame(PING), frame(PING, b"x"))
        while (received := await client.read()) != Received(CLOSE, (4001).to_bytes(2)):
            assert received is not None
            assert received.opcode == PONG  # of a ping that came in the same read
        await client.send(frame(TEXT, b"3"), frame(PING), close(4001))
        assert await client.read_all() == []
        await until(lambda: app.ends)
        assert app.listeners[0].messages == [(b"0", True)]


async def test_held_messages_are_dropped_at_server_close() -> None:
    def pause(listener: Listener, *_: object) -> None:
        listener.lane.pause_reading()

    app = LaneApp(pause)
    async with running(app) as server, await RawClient.open(server.port) as client:
        await client.send(frame(TEXT, b"0") + frame(TEXT, b"1"))
        listener = await app.listener()
        await until(lambda: listener.messages)
        listener.lane.close(4001)
        await client.send(frame(TEXT, b"2"), close(4001))
        assert [one.code for one in await client.read_all()] == [4001]
        await until(lambda: app.ends)
        assert listener.messages == [(b"0", True)]


async def test_peer_close_in_same_read_overrides_server_close() -> None:
    def hang_up(listener: Listener, *_: object) -> None:
        listener.lane.close(4001)

    app = LaneApp(hang_up)
    async with running(app) as server, await RawClient.open(server.port) as client:
        await client.send(frame(TEXT, b"x") + close(1000))
        assert [one.code for one in await client.read_all()] == [1000]
        await until(lambda: app.ends)
        assert app.listeners[0].closes == [1000]


async def test_failing_listener_is_logged_and_closed_with_1011(caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    async with running(LaneApp(fail)) as server, await RawClient.open(server.port) as client:
        await client.send(frame(TEXT, b"x") + frame(TEXT, b"y"))
        assert (await client.read()) == Received(CLOSE, (1011).to_bytes(2))
        await client.send(close(1011))
        assert await client.read_all() == []
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == ["message_failed"]


async def test_failing_close_callback_is_logged_and_connection_ends(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Listener, "on_closed", fail)
    app = LaneApp(echo)
    async with running(app) as server, await RawClient.open(server.port) as client:
        await client.send(close(1000))
        await client.read_all()
        await until(lambda: app.ends == [1000])
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == ["close_failed"]


@pytest.mark.parametrize("end", [lambda c: c.send(close(1000)), lambda c: c.send(frame(3))], ids=["close", "failure"])
async def test_calls_on_closed_connection_have_no_effect(end: Callable[[RawClient], Awaitable[None]]) -> None:
    app = LaneApp(echo)
    async with running(app) as server, await RawClient.open(server.port) as client:
        lane = (await app.listener()).lane
        await end(client)
        await client.read_all()
        client.writer.close()
        await until(lambda: app.ends)
        lane.write(text_frame(b"x"))
        lane.close(1000)
        lane.pause_reading()
        lane.resume_reading()
        assert await lane.drained() is False
        assert lane.buffered == 0


async def test_server_stop_closes_every_connection_with_1012() -> None:
    app = LaneApp()
    async with (
        running(app) as server,
        await RawClient.open(server.port) as first,
        await RawClient.open(server.port) as second,
    ):
        await until(lambda: len(app.listeners) == 2)
        await server.stop()
        assert [one.code for client in (first, second) for one in await client.read_all()] == [1012, 1012]
        assert [listener.closes for listener in app.listeners] == [[1012], [1012]]


async def test_application_may_return_after_attach() -> None:
    listeners: list[Listener] = []
    has_returned = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        listener = Listener(scope["extensions"][CONNECTION], echo)
        await send({"type": "websocket.accept"})
        listener.lane.attach(listener)
        listeners.append(listener)
        asyncio.get_running_loop().call_soon(has_returned.set)

    async with running(app) as server, await RawClient.open(server.port) as client:
        await has_returned.wait()
        await asyncio.sleep(0)
        assert [task for task in asyncio.all_tasks() if "run_asgi" in repr(task.get_coro())] == []
        await client.send(frame(TEXT, b"still here"))
        received = await client.read()
        assert received is not None
        assert received.payload == b"still here"
        await client.send(close(1000))
        await until(lambda: listeners[0].closes)
        assert listeners[0].closes == [1000]
