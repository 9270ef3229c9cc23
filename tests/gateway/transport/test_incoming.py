"""The input of a socket is handled in portions, in separate turns of the event loop, and at a limited rate."""

import asyncio
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from starlette.types import ASGIApp
from websockets.asyncio.client import connect

from gateway.protocol.codes import Close
from gateway.transport import incoming, server_queues
from gateway.transport.frame_reader import PORTION
from gateway.transport.server_queues import InputLimits, queues_of
from tests.gateway.transport.wire import (
    CONT,
    PING,
    PONG,
    TEXT,
    RawClient,
    Received,
    close,
    frame,
)
from tests.support.transport_server import LaneApp, Listener, Server, echo, running, starlette_echo, until

MANY = 700
"""A number of frames that is within the allowance."""


@pytest.fixture
def low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits so low that a test reaches them at once."""
    for name, value in {"BURST": 100, "PER_SECOND": 500, "FLOOD_ROUNDS": 5}.items():
        monkeypatch.setattr(incoming, name, value)


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """No limit on the rate, only the portions."""
    monkeypatch.setattr(incoming, "BURST", 10**9)


def waiting(server: Server) -> int:
    """The number of sockets with unhandled input or without an allowance."""
    queues = queues_of(server.server_state, server.config)
    return len(queues.turns) + len(queues.slowed)


async def test_burst_is_handled_in_one_loop_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_queues, "SLICE_S", 60.0)
    app = LaneApp(lambda listener, *_: seen.append(listener))
    seen: list[Listener] = []
    async with running(app) as server, await RawClient.open(server.port):
        await until(lambda: server.sockets)
        (socket,) = server.sockets
        socket.data_received(frame(TEXT, b"x") * 50)  # as one read
        assert (len(seen), waiting(server)) == (50, 0)


async def test_long_read_is_handled_in_several_loop_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_queues, "SLICE_S", -1.0)  # used up before it begins
    turns = 0

    def note(listener: Listener, *_: object) -> None:
        seen.append(turns)

    seen: list[int] = []
    async with running(LaneApp(note)) as server, await RawClient.open(server.port) as client:
        await until(lambda: server.sockets)
        (socket,) = server.sockets
        socket.data_received(frame(TEXT, b"x") * MANY)  # as one read
        assert len(seen) == PORTION
        while len(seen) < MANY:
            turns += 1
            await asyncio.sleep(0)
        assert waiting(server) == 0
        assert socket._transport.is_reading()
        await client.send(frame(TEXT, b"y"))
        await until(lambda: len(seen) == MANY + 1)


@pytest.mark.parametrize("app", [LaneApp(echo), starlette_echo], ids=["lane", "starlette"])
async def test_frames_keep_their_order_over_portions(app: ASGIApp) -> None:
    frames, answers = [], []
    for number in range(MANY // 4):
        part = b"%d" % number
        frames += [frame(TEXT, part, fin=False), frame(PING, part), frame(CONT, part), frame(TEXT, part)]
        answers += [Received(PONG, part), Received(TEXT, part * 2), Received(TEXT, part)]
    async with running(app) as server, await RawClient.open(server.port) as client:
        await client.send(b"".join(frames))
        received = [await client.read() for _ in answers]
        assert [one for one in received if one and one.opcode == TEXT] == [one for one in answers if one.opcode == TEXT]
        assert [one for one in received if one and one.opcode == PONG] == [one for one in answers if one.opcode == PONG]


async def test_pause_within_long_read_is_exact() -> None:
    def pause(listener: Listener, *_: object) -> None:
        if len(listener.messages) % 5 == 0:
            listener.lane.pause_reading()

    app = LaneApp(pause)
    async with running(app) as server, await RawClient.open(server.port) as client:
        await client.send(b"".join(frame(TEXT, b"%d" % number) for number in range(MANY)))
        listener = await app.listener()
        for count in range(5, MANY + 1, 5):
            await until(lambda: len(listener.messages) == count)  # noqa: B023  awaited here
            await asyncio.sleep(0)
            assert len(listener.messages) == count
            listener.lane.resume_reading()
        assert [payload for payload, _ in listener.messages] == [b"%d" % number for number in range(MANY)]
        await client.send(close(1000))
        assert [one.code for one in await client.read_all()] == [1000]


@pytest.mark.usefixtures("unlimited")
async def test_sockets_with_long_reads_take_turns() -> None:
    order: list[int] = []

    def note(listener: Listener, *_: object) -> None:
        order.append(id(listener))

    app = LaneApp(note)
    async with running(app) as server:
        async with await RawClient.open(server.port), await RawClient.open(server.port):
            await until(lambda: len(app.listeners) == 2)
            for socket in server.sockets:
                socket.data_received(frame(TEXT, b"x") * 10_000)
            await until(lambda: len(order) == 20_000)
        changes = sum(1 for one, other in pairwise(order) if one != other)
        assert changes == 20_000 // PORTION - 1


@pytest.mark.usefixtures("low_limits")
@pytest.mark.parametrize("app", [LaneApp(echo), starlette_echo], ids=["lane", "starlette"])
@pytest.mark.parametrize(
    "unit",
    [
        frame(TEXT, b"x"),
        frame(PING),
        frame(PONG),
        frame(TEXT, b"x", fin=False) + frame(CONT, fin=False) * 50 + frame(CONT),
        frame(TEXT, b"x" * 60_000),
    ],
    ids=["messages", "pings", "pongs", "fragments", "long messages"],
)
async def test_flood_is_slowed_then_closed(app: ASGIApp, unit: bytes) -> None:
    slowed, floods = [], []
    async with running(app) as server:
        queues_of(server.server_state, server.config, InputLimits(lambda: slowed.append(1), lambda: floods.append(1)))
        started = time.monotonic()
        async with await RawClient.open(server.port) as client:
            reading = asyncio.create_task(client.read_all())

            async def flood() -> None:
                while not reading.done():
                    await client.send(unit * (100_000 // len(unit)))

            flooding = asyncio.create_task(flood())
            received = await reading
            flooding.cancel()
            await asyncio.gather(flooding, return_exceptions=True)
        assert received[-1].code == Close.ABUSE
        assert time.monotonic() - started >= 5 * 0.1
        assert len(slowed) >= 5 and len(floods) == 1
        await until(lambda: not server.server_state.connections)
        assert waiting(server) == 0


@pytest.mark.usefixtures("unlimited")
async def test_expensive_reads_are_spread_over_loop_turns() -> None:
    def work(listener: Listener, *_: object) -> None:
        seen.append(turns)
        time.sleep(0.003)  # more than a slice

    seen: list[int] = []
    turns, app = 0, LaneApp(work)
    async with running(app) as server:
        async with await RawClient.open(server.port), await RawClient.open(server.port):
            await until(lambda: len(app.listeners) == 2)
            for socket in server.sockets:
                socket.data_received(frame(TEXT, b"x" * 50_000))
            while len(seen) < 2:
                await asyncio.sleep(0)
                turns += 1
        assert seen[0] != seen[1]


@pytest.mark.usefixtures("low_limits")
async def test_client_awaiting_responses_is_slowed_and_never_closed() -> None:
    async with running(LaneApp(echo)) as server, await RawClient.open(server.port) as client:
        started = time.monotonic()
        for number in range(600):
            await client.send(frame(TEXT, b"%d" % number))
            assert await client.read() == Received(TEXT, b"%d" % number)
        assert time.monotonic() - started >= (600 - 2 * 100) / 500 * 0.9


@pytest.mark.usefixtures("low_limits")
async def test_client_within_its_rate_is_never_slowed() -> None:
    slowed: list[int] = []
    async with running(LaneApp(echo)) as server:
        queues_of(server.server_state, server.config, InputLimits(lambda: slowed.append(1)))
        async with await RawClient.open(server.port) as client:
            for number in range(250):
                await client.send(frame(TEXT, b"%d" % number))
                assert await client.read() == Received(TEXT, b"%d" % number)
                await asyncio.sleep(0.003)
    assert slowed == []


@pytest.mark.usefixtures("low_limits")
async def test_quiet_client_regains_its_burst() -> None:
    app = LaneApp(echo)
    async with running(app) as server, await RawClient.open(server.port) as client:
        listener = await app.listener()
        for rounds in range(1, 4):
            await client.send(frame(TEXT, b"x") * 100)
            await until(lambda: len(listener.messages) == 100 * rounds)  # noqa: B023  awaited here
            await until(lambda: waiting(server) == 0)
        assert listener.closes == []


@pytest.mark.usefixtures("low_limits")
@pytest.mark.parametrize("end", [lambda client: client.writer.transport.abort(), lambda client: client.writer.close()])
async def test_flood_that_ends_leaves_no_pending_input(end: Callable[[RawClient], Any]) -> None:
    app = LaneApp(echo)
    async with running(app) as server, await RawClient.open(server.port) as client:
        await client.send(frame(TEXT, b"x") * 200)
        await until(lambda: waiting(server) == 1)
        end(client)
        await until(lambda: not server.server_state.connections)
        assert waiting(server) == 0
        await until(lambda: app.ends)


@pytest.mark.usefixtures("low_limits")
async def test_server_close_ends_flood_in_bounded_time(short_bounds: None) -> None:
    app = LaneApp(echo)
    async with running(app) as server, await RawClient.open(server.port) as client:
        listener = await app.listener()
        await client.send(frame(TEXT, b"x") * 5_000)
        await until(lambda: waiting(server) == 1)
        count = len(listener.messages)
        listener.lane.close(4000)
        await until(lambda: app.ends == [4000])
        assert len(listener.messages) == count
        assert waiting(server) == 0


@pytest.mark.usefixtures("low_limits")
async def test_slowed_socket_passes_keepalive() -> None:
    app = LaneApp()
    async with (
        running(app, ws_ping_interval=0.05, ws_ping_timeout=0.05) as server,
        connect(f"ws://127.0.0.1:{server.port}/", proxy=None, ping_interval=None) as client,
    ):
        listener = await app.listener()
        for number in range(250):
            await client.send(f"{number}")
        await until(lambda: len(listener.messages) == 250)
        assert listener.closes == []
