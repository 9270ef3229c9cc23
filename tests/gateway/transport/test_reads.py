"""The quick way in: what it takes, what it leaves to the parser, and how it finds back."""

import asyncio
import random

import pytest
from starlette.types import ASGIApp

from gateway.reads import Reads
from tests.gateway.transport.server import LaneApp, echo, running, starlette_echo, until
from tests.gateway.transport.wire import BINARY, CONT, PING, PONG, TEXT, RawClient, Received, close, frame

MAX = 70_000
HI = frame(TEXT, b"hi")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535])
def test_a_whole_message_is_taken(size: int) -> None:
    payload = bytes(range(256)) * 256
    assert Reads(MAX).messages(frame(BINARY, payload[:size])) == [(payload[:size], False)]


def test_several_whole_messages_are_taken_in_order() -> None:
    data = HI + frame(BINARY, b"\xff" * 200) + frame(TEXT) + frame(TEXT, b"x", mask=bytes(4))
    assert Reads(MAX).messages(data) == [(b"hi", True), (b"\xff" * 200, False), (b"", True), (b"x", True)]


@pytest.mark.parametrize(
    "data",
    [
        frame(PING, b"p"),
        frame(TEXT, b"hi", fin=False),
        frame(CONT, b"hi"),
        frame(TEXT, b"hi", rsv=4),
        frame(TEXT, b"hi", mask=None),
        frame(TEXT, b"a" * 300, mask=None),
        frame(3, b"hi"),
        frame(TEXT, b"a" * 65_536),
        HI + frame(PING),
        frame(PING) + HI,
    ],
)
def test_a_read_with_anything_else_is_the_parsers_and_the_next_one_is_not(data: bytes) -> None:
    reads = Reads(MAX)
    assert reads.messages(data) is None
    assert reads.messages(HI) == [(b"hi", True)]


def test_a_message_over_the_limit_is_the_parsers() -> None:
    assert Reads(199).messages(frame(TEXT, b"a" * 200)) is None
    assert Reads(200).messages(frame(TEXT, b"a" * 200)) == [(b"a" * 200, True)]


@pytest.mark.parametrize("size", [0, 100, 200, 65_536])
def test_a_frame_in_two_reads_is_the_parsers_wherever_it_is_cut(size: int) -> None:
    whole = frame(TEXT, b"\x81\x82" * (size // 2))
    for cut in [*range(1, min(len(whole), 20)), len(whole) - 1]:
        reads = Reads(MAX)
        assert reads.messages(HI + whole[:cut]) is None
        assert reads.messages(whole[cut:]) is None
        assert reads.messages(HI) == [(b"hi", True)]


def test_what_follows_a_part_of_a_frame_is_the_parsers_up_to_a_common_end() -> None:
    reads = Reads(MAX)
    assert reads.messages(HI[:3]) is None
    assert reads.messages(HI[3:] + HI + HI[:1]) is None
    assert reads.messages(HI[1:]) is None
    assert reads.messages(HI + HI) == [(b"hi", True)] * 2


def test_frames_cut_anywhere_are_taken_only_whole_and_only_between_frames() -> None:
    chance = random.Random(6455)
    kinds = [HI, frame(TEXT, b"x" * 130), frame(BINARY, b"y" * 66_000), frame(PING, b"p"), frame(TEXT, b"a", fin=False)]
    for _ in range(300):
        frames = [chance.choice(kinds) for _ in range(20)]
        data = b"".join(frames)
        ends = {sum(map(len, frames[:number])) for number in range(len(frames) + 1)}
        reads, at = Reads(MAX), 0
        while at < len(data):
            step = chance.choice([1, 2, 5, 8, 144, 70_000, *(end - at for end in ends if 0 < end - at < 1000)])
            taken = reads.messages(data[at : at + step])
            stop = min(at + step, len(data))
            if taken is not None:
                assert {at, stop} <= ends
                assert b"".join(frame(TEXT if text else BINARY, payload) for payload, text in taken) == data[at:stop]
            else:
                plain = data[at:stop].replace(kinds[1], b"").replace(HI, b"") == b""
                assert not (at in ends and stop in ends and plain)
            at = stop


LONG = [
    frame(TEXT, b"a" * 125, size_bytes=2),
    frame(TEXT, b"", size_bytes=8),
    frame(BINARY, b"a" * 65_535, size_bytes=8),
    frame(PING, b"p", size_bytes=2),
    frame(CONT, b"hi", size_bytes=2),
]
"""Frames whose lengths are not written in the fewest bytes (RFC 6455 §5.2)."""


@pytest.mark.parametrize("long", LONG)
def test_a_length_that_is_not_minimal_is_found_wherever_it_is_cut(long: bytes) -> None:
    for before in (b"", HI, frame(PING), frame(TEXT, b"a" * 65_536)):
        reads = Reads(MAX)
        assert reads.messages(before + long + HI) is None
        assert reads.bad_at == len(before)
        for cut in (1, 3):
            reads = Reads(MAX)
            assert reads.messages(HI[:cut]) is None
            assert reads.messages(HI[cut:] + long) is None
            assert reads.bad_at == len(HI) - cut
        for cut in range(1, 14):
            reads = Reads(MAX)
            assert reads.messages(before + long[:cut]) is None
            if reads.bad_at is None:
                assert reads.messages(long[cut:]) is None
                assert reads.bad_at == 0
            else:
                assert reads.bad_at == len(before)


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_no_minimal_length_is_bad(size: int) -> None:
    reads = Reads(MAX)
    assert reads.messages(frame(PING) + frame(TEXT, b"a" * size)) is None
    assert reads.bad_at is None


@pytest.mark.parametrize("app", [LaneApp(echo), starlette_echo], ids=["lane", "starlette"])
@pytest.mark.parametrize("cut", [None, 1, 3], ids=["whole", "cut in the head", "cut in the length"])
async def test_a_length_that_is_not_minimal_fails_the_connection(app: ASGIApp, cut: int | None) -> None:
    for long in LONG[:4]:
        async with running(app) as server, await RawClient.open(server.port) as client:
            await client.send(HI)
            assert await client.read() == Received(TEXT, b"hi")
            await client.send(frame(PING, b"p") + long[:cut])
            assert await client.read() == Received(PONG, b"p")  # so that the rest is a read of its own
            await client.send(long[cut:] if cut else b"", HI)
            assert [one.code for one in await client.read_all()] == [1002]


async def test_what_follows_a_close_is_not_looked_at() -> None:
    app = LaneApp(echo)
    async with running(app) as server, await RawClient.open(server.port) as client:
        await client.send(close(4000) + LONG[0])
        assert [one.code for one in await client.read_all()] == [4000]
        await until(lambda: app.ends == [4000])


async def test_a_length_that_is_not_minimal_ends_a_close_that_waits_for_the_peers() -> None:
    app = LaneApp(lambda listener, _, __: listener.lane.close(4001))
    async with running(app) as server, await RawClient.open(server.port) as client:
        await client.send(HI)
        received = await client.read()
        assert received is not None and received.code == 4001
        await client.send(LONG[0])
        async with asyncio.timeout(2):
            assert await client.read() is None


async def test_a_message_within_fragments_is_refused_though_it_comes_alone() -> None:
    async with running(LaneApp(echo)) as server, await RawClient.open(server.port) as client:
        await client.send(frame(TEXT, b"part", fin=False) + frame(PING, b"p"))
        assert await client.read() == Received(PONG, b"p")  # so that the next read begins between frames
        await client.send(HI)
        assert [one.code for one in await client.read_all()] == [1002]


async def test_messages_are_taken_again_after_a_frame_in_many_reads() -> None:
    app = LaneApp(echo)
    async with running(app) as server, await RawClient.open(server.port) as client:
        for piece in (HI, frame(BINARY, b"x" * 60_000)[:30_000]):
            await client.send(piece)
        assert await client.read() == Received(TEXT, b"hi")
        await client.send(frame(BINARY, b"x" * 60_000)[30_000:])
        assert await client.read() == Received(BINARY, b"x" * 60_000)
        await client.send(HI + HI)
        assert [await client.read() for _ in range(2)] == [Received(TEXT, b"hi")] * 2
        await client.send(frame(TEXT, b"\xff"))
        assert [one.code for one in await client.read_all()] == [1007]
