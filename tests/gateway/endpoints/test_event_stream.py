"""An event stream in the place of a connection."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from gateway.endpoints import event_stream
from gateway.endpoints.event_stream import HIGH_WATER, EventStream, farewell
from gateway.protocol.frames import text_frame
from gateway.protocol.ids import Since
from gateway.protocol.stream_positions import StreamPositions


class Response:
    """The rest of the server: takes what is sent while `is_reading` is set."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.is_reading = asyncio.Event()
        self.is_reading.set()

    async def send(self, message: Any) -> None:
        await self.is_reading.wait()
        self.messages.append(message)

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.messages).decode()


class Listener:
    """The session: pauses with each second message, if it is told to."""

    def __init__(self, stream: EventStream | None = None) -> None:
        self.stream = stream
        self.heard: list[bytes] = []
        self.codes: list[int] = []

    def on_message(self, payload: bytes, is_text: bool) -> None:
        assert is_text
        self.heard.append(payload)
        if self.stream is not None and len(self.heard) % 2 == 0:
            self.stream.pause_reading()

    def on_closed(self, code: int) -> None:
        self.codes.append(code)


@asynccontextmanager
async def running(stream: EventStream, response: Response) -> AsyncIterator[Listener]:
    listener = Listener()
    stream.attach(listener)
    task = asyncio.create_task(stream.run(response.send, {"X": "y"}))
    await turns()
    try:
        yield listener
    finally:
        stream.lose()
        response.is_reading.set()
        async with asyncio.timeout(5):
            await task


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def stream_since(*positions: tuple[int, int], **options: Any) -> EventStream:
    since = {chat_id: Since(seq, "e1") for chat_id, seq in positions}
    return EventStream(options.pop("commands", ()), StreamPositions(since), **options)


async def test_frames_become_events_with_position() -> None:
    stream, response = stream_since((1, 4)), Response()
    async with running(stream, response):
        stream.write(text_frame(b'+1 9 e1\n{"type":"ack"}') + text_frame(b'{"type":"typing"}'))
        stream.write(text_frame(b'1 5\n{"text":"%b"}' % (b"x" * 200)))
        stream.write(text_frame(b'1 6\n{"text":"%b"}' % (b"x" * 70_000)))
        stream.write(text_frame(b'{\n"type":\r\n"direct"}'))
        await turns()
    assert response.messages[0] == {"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]}
    retry, *events = response.text.removesuffix("\n\n").split("\n\n")
    assert retry.startswith("retry: ")
    assert events == [
        'id: e1:1-4\ndata: {"type":"ack"}',
        'data: {"type":"typing"}',
        f'id: e1:1-5\ndata: {{"text":"{"x" * 200}"}}',
        f'id: e1:1-6\ndata: {{"text":"{"x" * 70_000}"}}',
        'data: { "type":  "direct"}',
    ]


async def test_commands_of_url_wait_while_session_pauses() -> None:
    stream = stream_since(commands=[b"1", b"2", b"3"])
    listener = Listener(stream)
    stream.attach(listener)
    assert listener.heard == [b"1", b"2"]
    stream.resume_reading()
    assert listener.heard == [b"1", b"2", b"3"]


async def test_slow_reader_fills_the_queue_up_to_its_limit() -> None:
    stream, response = stream_since(), Response()
    async with running(stream, response):
        response.is_reading.clear()
        assert stream.write(b"\x81\x02{}", 8) and stream.write(b"\x81\x02{}", 8)
        assert not stream.write(b"\x81\x02{}", 8)
        await turns()
        assert stream.buffered == 8  # also while it is being sent
        response.is_reading.set()
        await turns()
        assert stream.buffered == 0 and stream.write(b"\x81\x02{}", 8)


async def test_replay_waits_until_queue_has_room() -> None:
    stream, response = stream_since(), Response()
    async with running(stream, response):
        assert await stream.drained()
        response.is_reading.clear()
        stream.write(text_frame(b"{%b}" % (b" " * HIGH_WATER)))
        waiting = asyncio.create_task(stream.drained())
        await turns()
        assert not waiting.done()
        response.is_reading.set()
        assert await waiting
        response.is_reading.clear()
        stream.write(text_frame(b"{%b}" % (b" " * HIGH_WATER)))
        waiting = asyncio.create_task(stream.drained())
        stream.close(4000)
        assert not await waiting


async def test_close_is_last_event_after_what_was_written() -> None:
    stream, response = stream_since(), Response()
    async with running(stream, response) as listener:
        stream.write(text_frame(b"{}"))
        stream.close(4000, '{"retry_after_ms":77}')
        stream.close(4401)
        assert stream.write(text_frame(b'{"too":"late"}'))
        await turns()
        assert response.messages[-1]["more_body"] is False
    assert response.text.endswith(
        'data: {}\n\nretry: 77\nevent: close\ndata: {"code":4000,"reason":"{\\"retry_after_ms\\":77}"}\n\n'
    )
    assert "late" not in response.text and listener.codes == [4000]


async def test_reader_that_stalls_is_cut_after_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "ABORT_S", 0.01)
    response, cut = Response(), asyncio.Event()

    def abort() -> None:
        cut.set()
        response.is_reading.set()  # as the server does: what is sent from now on is discarded

    stream = stream_since(abort=abort)
    async with running(stream, response) as listener:
        response.is_reading.clear()
        stream.write(text_frame(b"{}"))
        await turns()
        stream.close(4001)
        async with asyncio.timeout(5):
            await cut.wait()
        await turns()
        assert listener.codes == [4001]


async def test_lost_client_ends_the_session_with_1006() -> None:
    stream, response = stream_since(), Response()
    messages = [{"type": "http.request"}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return messages.pop(0)

    async with running(stream, response) as listener:
        await stream.watch(receive)
        await turns()
        assert listener.codes == [1006] and not await stream.drained()


async def test_cancelled_response_ends_the_session() -> None:
    stream, response, listener = stream_since(), Response(), Listener()
    stream.attach(listener)
    task = asyncio.create_task(stream.run(response.send, {}))
    await turns()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert listener.codes == [1006]


async def test_silent_stream_sends_comments() -> None:
    stream, response = stream_since(comment_s=0.01), Response()
    async with running(stream, response):
        await until(lambda: response.text.count("\n\n:\n\n:\n\n") >= 1)


async def until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_true():
            await asyncio.sleep(0.01)


def test_farewell_has_delay_only_if_reason_has_one() -> None:
    for reason in ("the token has expired", "{}", '{"retry_after_ms":"soon"}'):
        last = farewell(4401, reason)
        assert not last.startswith(b"retry")
        assert orjson.loads(last.split(b"data: ")[1]) == {"code": 4401, "reason": reason}
    assert farewell(4000, '{"retry_after_ms":0}').startswith(b"retry: 1\n")
