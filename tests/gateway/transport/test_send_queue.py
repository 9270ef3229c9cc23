"""The send queue of a session over a real socket: it never blocks, and never exceeds its limit."""

import asyncio

import pytest

from gateway.protocol.codes import Close
from gateway.protocol.frames import NOT_DIRECT, text_frame
from gateway.sessions.send_queue import DEFAULT_LIMIT, SendQueue
from tests.gateway.transport.wire import CLOSE, TEXT, RawClient, Received
from tests.support.transport_server import LaneApp, Listener, running, until

PAGE = text_frame(b"x" * 60_000)


class Slow:
    """Counts the calls for a slow client, and closes as a session does."""

    def __init__(self, listener: Listener, limit: int = DEFAULT_LIMIT) -> None:
        self.calls = 0
        self._listener = listener
        self.send_queue = SendQueue(listener.lane, self._on_slow, limit)

    def _on_slow(self) -> None:
        self.calls += 1
        self._listener.lane.close(Close.SLOW_CONSUMER, "too slow")


async def test_reading_client_gets_everything() -> None:
    app = LaneApp()
    async with running(app) as server, await RawClient.open(server.port) as client:
        slow = Slow(await app.listener())
        for number in range(1_000):
            assert slow.send_queue.offer(text_frame(b"%d" % number))
        assert [await client.read() for _ in range(1_000)] == [Received(TEXT, b"%d" % n) for n in range(1_000)]
        assert slow.calls == 0


@pytest.mark.usefixtures("short_bounds")
async def test_slow_consumer_is_closed_once_and_buffer_stops_growing() -> None:
    app = LaneApp()
    async with running(app) as server, await RawClient.open(server.port, receive_buffer=4096) as client:
        listener = await app.listener()
        slow = Slow(listener)
        async with asyncio.timeout(5):
            while slow.send_queue.offer(PAGE):
                assert listener.lane.buffered <= DEFAULT_LIMIT
                await asyncio.sleep(0)
        for _ in range(100):
            assert slow.send_queue.offer(PAGE) is False
        assert slow.calls == 1
        assert listener.lane.buffered <= DEFAULT_LIMIT + 100  # and the CLOSE frame
        assert await slow.send_queue.wait_writable() is False
        await until(lambda: app.ends == [Close.SLOW_CONSUMER])
        assert listener.closes == [Close.SLOW_CONSUMER]
        await client.ended()


async def test_slow_consumer_that_resumes_reading_gets_close_code() -> None:
    app = LaneApp()
    async with running(app) as server, await RawClient.open(server.port, receive_buffer=4096) as client:
        slow = Slow(await app.listener())
        while slow.send_queue.offer(PAGE):
            await asyncio.sleep(0)
        frames = await asyncio.wait_for(_until_close(client), 5)
        assert frames[-1].code == Close.SLOW_CONSUMER
        assert {one.payload for one in frames[:-1]} == {b"x" * 60_000}, "what was taken is whole"


async def _until_close(client: RawClient) -> list[Received]:
    frames: list[Received] = []
    while not frames or frames[-1].opcode != CLOSE:
        received = await client.read()
        assert received is not None
        frames.append(received)
    return frames


async def test_limit_is_exact() -> None:
    app = LaneApp()
    frame = b"\x82\x7e" + (996).to_bytes(2) + bytes(996)
    async with running(app) as server, await RawClient.open(server.port, receive_buffer=4096):
        listener = await app.listener()
        while not listener.lane.buffered:  # the client does not read
            listener.lane.write(PAGE)
            await asyncio.sleep(0)
        await until(lambda: is_full(listener))
        buffered = listener.lane.buffered
        assert Slow(listener, limit=buffered + 1_000).send_queue.offer(frame)
        assert listener.lane.buffered == buffered + 1_000
        slow = Slow(listener, limit=buffered + 1_999)
        assert slow.send_queue.offer(frame) is False
        assert slow.calls == 1


def is_full(listener: Listener) -> bool:
    """Whether the kernel buffers no more."""
    before = listener.lane.buffered
    listener.lane.write(PAGE)
    return listener.lane.buffered == before + len(PAGE)


async def test_empty_send_queue_accepts_any_size_and_full_one_nothing() -> None:
    app = LaneApp()
    large = PAGE * 200
    async with running(app) as server, await RawClient.open(server.port, receive_buffer=4096) as client:
        slow = Slow(await app.listener())
        assert slow.send_queue.offer(large)
        frames = [await client.read() for _ in range(200)]
        assert {frame.payload for frame in frames if frame} == {b"x" * 60_000}
        assert slow.send_queue.offer(large)
        assert slow.send_queue.offer(PAGE) is False
        assert slow.calls == 1


async def test_room_is_available_after_client_reads() -> None:
    app = LaneApp()
    async with running(app) as server, await RawClient.open(server.port, receive_buffer=4096) as client:
        listener = await app.listener()
        slow = Slow(listener, limit=64 * DEFAULT_LIMIT)
        assert await slow.send_queue.wait_writable() is True, "at once, when there is nothing to wait for"
        for _ in range(200):
            slow.send_queue.offer(PAGE)
        waiting = asyncio.create_task(slow.send_queue.wait_writable())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        for _ in range(200):
            await client.read()
        assert await asyncio.wait_for(waiting, 5) is True
        assert listener.lane.buffered < 64 * 1024


@pytest.mark.usefixtures("short_bounds")
async def test_wait_for_room_ends_on_close() -> None:
    app = LaneApp()
    async with running(app) as server, await RawClient.open(server.port, receive_buffer=4096):
        listener = await app.listener()
        slow = Slow(listener, limit=64 * DEFAULT_LIMIT)
        for _ in range(200):
            slow.send_queue.offer(PAGE)
        waiting = asyncio.create_task(slow.send_queue.wait_writable())
        await asyncio.sleep(0.05)
        listener.lane.close(Close.DRAIN)
        assert await asyncio.wait_for(waiting, 5) is False


async def test_direct_and_queued_writes_keep_their_order() -> None:
    app = LaneApp()
    async with running(app) as server, await RawClient.open(server.port, receive_buffer=4096) as client:
        listener = await app.listener()
        (socket,) = server.sockets
        send_queue = Slow(listener, limit=2**30).send_queue
        numbers = [text_frame(b"%d" % number * 3_000) for number in range(600)]
        for start in range(0, len(numbers), 3):
            first, second, third = numbers[start : start + 3]
            assert send_queue.offer(first)
            socket.transport.write(second)  # as uvicorn writes
            assert send_queue.offer(third)
            if start % 30 == 0:  # the kernel has room again
                for number in range(start if start < 30 else start - 30, start):
                    assert await client.read() == Received(TEXT, b"%d" % number * 3_000)
        for number in range(570, 600):
            assert await client.read() == Received(TEXT, b"%d" % number * 3_000)


async def test_frames_are_written_directly_until_close() -> None:
    app = LaneApp()
    async with running(app) as server, await RawClient.open(server.port) as client:
        listener = await app.listener()
        send_queue = Slow(listener).send_queue
        assert send_queue.fd == NOT_DIRECT
        assert send_queue.offer(text_frame(b"1"))
        assert send_queue.fd != NOT_DIRECT
        assert send_queue.offer(text_frame(b"2"))
        listener.lane.close(1000)
        assert send_queue.fd == NOT_DIRECT
        assert send_queue.offer(text_frame(b"3"))
        assert [(await client.read()).payload for _ in range(2)] == [b"1", b"2"]
        assert (await client.read()).opcode == CLOSE
        await client.ended()
        await until(lambda: app.ends == [1000])
        assert send_queue.fd == NOT_DIRECT
        assert send_queue.offer(text_frame(b"4"))
