"""The check of sockets in tests detects undocumented frames."""

import asyncio
import contextlib

import pytest
from playwright.async_api import Browser
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError

from tests.support.documented_sockets import documented_sockets
from tests.support.event_stream import event_stream

PONG = '{"type":"pong"}'


async def behave(connection: ServerConnection) -> None:
    """Say what is asked to be said, and close with the first number."""
    async for payload in connection:
        if isinstance(payload, str) and payload.isdecimal():
            await connection.close(int(payload))
            return
        await connection.send(payload)


async def say(path: str, *payloads: str | bytes, close: int = 1000) -> list[str]:
    """The faults of a socket that receives this and is closed."""
    with documented_sockets() as faults:
        async with serve(behave, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with connect(f"ws://127.0.0.1:{port}{path}", proxy=None) as socket:
                for payload in (*payloads, str(close)):
                    await socket.send(payload)
                with contextlib.suppress(ConnectionClosedError):  # as codes of ours are to the library
                    async for _ in socket:
                        pass
    return faults


@pytest.mark.parametrize("path", ["/ws/chat/1/", "/ws/service-chats/1?since=3", "/ws/anybody", "/channels/public"])
async def test_documented_message_and_close_are_accepted(path: str) -> None:
    assert await say(path, PONG) == await say(path, PONG, close=4000) == []


@pytest.mark.parametrize(
    "payload",
    [
        '{"type":"pong","more":1}',
        '{"type":"ping"}',
        "{}",
        "[]",
        "no JSON",
        '{"type":"error","message":"a","code":"odd"}',
        b"{}",
    ],
)
async def test_undocumented_message_is_reported(payload: str | bytes) -> None:
    assert await say("/ws/chat/1/", payload) == [f"chat sent {payload!r}"]


async def test_undocumented_close_is_reported() -> None:
    assert await say("/ws/chat/1/", close=4410) == ["chat closed with 4410"]
    assert await say("/updates/a", close=4410) == []


async def test_echo_and_foreign_urls_are_not_checked() -> None:
    for path in ("/channels/echo", "/", "/elsewhere/chat/1"):
        assert await say(path, "anything") == await say(path, b"\xff") == []


async def test_browser_sockets_are_checked(chromium: Browser) -> None:
    with documented_sockets() as faults:
        async with serve(behave, "127.0.0.1", 0) as server:
            url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/chat/1/"
            for page in (await chromium.new_page(), await (await chromium.new_context()).new_page()):
                await page.evaluate(
                    """(url) => new Promise((done) => {
                        const socket = new WebSocket(url);
                        socket.onopen = () => socket.send('{"type":"ping"}');
                        socket.onmessage = () => done();
                    })""",
                    url,
                )
    assert faults == ["""chat sent '{"type":"ping"}'"""] * 2


async def stream(*events: bytes) -> list[str]:
    """The faults of an event stream that receives these."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"".join(events))
        writer.close()

    with documented_sockets() as faults:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with event_stream(f"http://127.0.0.1:{port}/sse/me", chats=5) as received:
                await received.end()
    return faults


async def test_event_streams_are_checked() -> None:
    activity, close = '{"type":"chat_activity","chat_id":5,"last_seq":7}', '{"code":4000,"reason":""}'
    assert await stream(b"data: %b\n\n" % activity.encode(), b"event: close\ndata: %b\n\n" % close.encode()) == []
    assert await stream(b'data: {"type":"pong"}\n\n') == ["""sse sent '{"type":"pong"}'"""]
    odd = '{"code":4410,"reason":""}'
    assert await stream(b"event: close\ndata: %b\n\n" % odd.encode()) == ["/sse/me?chats=5 closed with 4410"]
