"""The fast path of input: which reads it handles, which it leaves to the parser, and when it resumes."""

import asyncio
import random

import pytest
from starlette.types import ASGIApp

from gateway.transport.frame_reader import PORTION, FrameReader
from tests.gateway.transport.wire import BINARY, CONT, PING, PONG, TEXT, RawClient, Received, close, frame
from tests.support.transport_server import LaneApp, echo, running, starlette_echo, until

MAX = 70_000
HI = frame(TEXT, b"hi")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535])
def test_whole_message_is_read(size: int) -> None:
    payload = bytes(range(256)) * 256
    assert FrameReader(MAX).messages(frame(BINARY, payload[:size])) == [(payload[:size], False)]


def test_several_whole_messages_are_read_in_order() -> None:
    data = HI + frame(BINARY, b"\xff" * 200) + frame(TEXT) + frame(TEXT, b"x", mask=bytes(4))
    assert FrameReader(MAX).messages(data) == [(b"hi", True), (b"\xff" * 200, False), (b"", True), (b"x", True)]


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
        frame(TEXT, b"x" * 119 + frame(TEXT) * 11_000, mask=bytes(4)),
        frame(TEXT, b"x" + frame(TEXT) * 20 + b"xxxx", mask=None),
    ],
)
def test_other_input_goes_to_parser_and_next_message_is_read(data: bytes) -> None:
    reads = FrameReader(MAX)
    assert reads.messages(data) is None
    assert reads.messages(HI) == [(b"hi", True)]


def test_message_over_limit_goes_to_parser() -> None:
    assert FrameReader(199).messages(frame(TEXT, b"a" * 200)) is None
    assert FrameReader(200).messages(frame(TEXT, b"a" * 200)) == [(b"a" * 200, True)]


@pytest.mark.parametrize("size", [0, 100, 200, 65_536])
def test_frame_split_over_two_reads_goes_to_parser(size: int) -> None:
    whole = frame(TEXT, b"\x81\x82" * (size // 2))
    for cut in [*range(1, min(len(whole), 20)), len(whole) - 1]:
        reads = FrameReader(MAX)
        assert reads.messages(HI + whole[:cut]) is None
        assert reads.messages(whole[cut:]) is None
        assert reads.messages(HI) == [(b"hi", True)]


def test_input_after_partial_frame_goes_to_parser_until_aligned() -> None:
    reads = FrameReader(MAX)
    assert reads.messages(HI[:3]) is None
    assert reads.messages(HI[3:] + HI + HI[:1]) is None
    assert reads.messages(HI[1:]) is None
    assert reads.messages(HI + HI) == [(b"hi", True)] * 2


Taken = list[tuple[bytes, list[tuple[bytes, bool]] | None]]


def taken(reads: FrameReader, data: bytes) -> Taken:
    """The portions of a read, each with its messages, or None if it is the parser's."""
    portions: Taken = []
    at = 0
    while at < len(data) and reads.bad_at is None:
        messages = reads.messages(data, at)
        portions.append((data[at : reads.end], messages))
        assert reads.end > at or reads.bad_at == at
        at = reads.end
    return portions


@pytest.mark.parametrize(
    "unit",
    [HI, frame(PING), frame(CONT, fin=False), frame(PING) + HI],
    # Not `repr`: pytest escapes its backslashes again at each collection in a process, and mutmut collects twice.
    ids=["text", "ping", "empty fragment", "ping and text"],
)
def test_portion_has_sixteen_frames(unit: bytes) -> None:
    reads, frames = FrameReader(MAX), 32 if unit != frame(PING) + HI else 64
    portions = taken(reads, unit * 32 + HI[:3])
    assert len(portions) == frames // PORTION + 1
    assert b"".join(part for part, _ in portions) == unit * 32 + HI[:3]
    assert portions[-1] == (HI[:3], None) and reads.cost == 1
    assert reads.messages(HI[3:] + HI) is None and reads.cost == 1, "the first was paid for"


@pytest.mark.parametrize(("size", "cost"), [(0, 1), (2000, 1), (2100, 2), (40_000, 20), (65_536, 33)])
def test_frame_costs_one_plus_one_per_two_kib(size: int, cost: int) -> None:
    reads = FrameReader(MAX)
    whole = frame(TEXT, b"a" * size)
    reads.messages(whole)
    assert reads.cost == cost
    assert reads.messages(frame(PING) + whole) is None
    assert reads.cost == cost + 1


def test_single_byte_read_costs_as_much_as_a_frame() -> None:
    reads = FrameReader(MAX)
    for byte in frame(TEXT, b"a" * 1000):
        assert reads.messages(bytes([byte])) is None
        assert (reads.cost, reads.end) == (1, 1)


@pytest.mark.parametrize("cut", [2, 6])
def test_frame_after_its_header_costs_its_bytes(cut: int) -> None:
    reads, whole = FrameReader(MAX), frame(TEXT, b"a" * 100)
    reads.bytes_per_cost = 10
    reads.messages(whole[:cut])
    assert reads.messages(whole[cut:]) is None
    assert reads.cost == (len(whole) - cut) // 10


def test_only_whole_frames_between_frames_are_read() -> None:
    chance = random.Random(6455)
    kinds = [HI, frame(TEXT, b"x" * 130), frame(BINARY, b"y" * 66_000), frame(PING, b"p"), frame(TEXT, b"a", fin=False)]
    for _ in range(300):
        frames = [chance.choice(kinds) for _ in range(20)]
        data = b"".join(frames)
        ends = {sum(map(len, frames[:number])) for number in range(len(frames) + 1)}
        reads, at = FrameReader(MAX), 0
        while at < len(data):
            step = chance.choice([1, 2, 5, 8, 144, 70_000, *(end - at for end in ends if 0 < end - at < 1000)])
            for portion, messages in taken(reads, data[at : at + step]):
                stop = at + len(portion)
                if messages is not None:
                    assert {at, stop} <= ends
                    again = b"".join(frame(TEXT if text else BINARY, payload) for payload, text in messages)
                    assert again == portion
                else:
                    plain = portion.replace(kinds[1], b"").replace(HI, b"") == b""
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
def test_non_minimal_length_is_found_at_any_split(long: bytes) -> None:
    for before in (b"", HI, frame(PING), frame(TEXT, b"a" * 65_536)):
        reads = FrameReader(MAX)
        assert taken(reads, before + long + HI)[-1][1] is None
        assert reads.bad_at == len(before)
        for cut in (1, 3):
            reads = FrameReader(MAX)
            assert reads.messages(HI[:cut]) is None
            assert reads.messages(HI[cut:] + long) is None
            assert reads.bad_at == len(HI) - cut
        for cut in range(1, 14):
            reads = FrameReader(MAX)
            assert taken(reads, before + long[:cut])[-1][1] is None
            if reads.bad_at is None:
                assert reads.messages(long[cut:]) is None
                assert reads.bad_at == 0
            else:
                assert reads.bad_at == len(before)


@pytest.mark.parametrize("size_bytes", [2, 8])
def test_non_minimal_length_is_detected_at_its_last_byte(size_bytes: int) -> None:
    long = frame(TEXT, b"hi", size_bytes=size_bytes)
    reads = FrameReader(MAX)
    assert reads.messages(long[: 1 + size_bytes]) is None
    assert reads.bad_at is None
    reads = FrameReader(MAX)
    assert reads.messages(long[: 2 + size_bytes]) is None
    assert (reads.bad_at, reads.end) == (0, 0)


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_minimal_length_is_valid(size: int) -> None:
    reads = FrameReader(MAX)
    assert reads.messages(frame(PING) + frame(TEXT, b"a" * size)) is None
    assert reads.bad_at is None


@pytest.mark.parametrize("app", [LaneApp(echo), starlette_echo], ids=["lane", "starlette"])
@pytest.mark.parametrize("cut", [None, 1, 3], ids=["whole", "cut in the head", "cut in the length"])
async def test_non_minimal_length_fails_the_connection(app: ASGIApp, cut: int | None) -> None:
    for long in LONG[:4]:
        async with running(app) as server, await RawClient.open(server.port) as client:
            await client.send(HI)
            assert await client.read() == Received(TEXT, b"hi")
            await client.send(frame(PING, b"p") + long[:cut])
            assert await client.read() == Received(PONG, b"p")  # so that the rest is a read of its own
            await client.send(long[cut:] if cut else b"", HI)
            assert [one.code for one in await client.read_all()] == [1002]


async def test_input_after_close_frame_is_ignored() -> None:
    app = LaneApp(echo)
    async with running(app) as server, await RawClient.open(server.port) as client:
        await client.send(close(4000) + LONG[0])
        assert [one.code for one in await client.read_all()] == [4000]
        await until(lambda: app.ends == [4000])


async def test_non_minimal_length_ends_pending_close_handshake() -> None:
    app = LaneApp(lambda listener, _, __: listener.lane.close(4001))
    async with running(app) as server, await RawClient.open(server.port) as client:
        await client.send(HI)
        received = await client.read()
        assert received is not None and received.code == 4001
        await client.send(LONG[0])
        async with asyncio.timeout(6):
            assert await client.read() is None


async def test_message_between_fragments_is_rejected() -> None:
    async with running(LaneApp(echo)) as server, await RawClient.open(server.port) as client:
        await client.send(frame(TEXT, b"part", fin=False) + frame(PING, b"p"))
        assert await client.read() == Received(PONG, b"p")  # so that the next read begins between frames
        await client.send(HI)
        assert [one.code for one in await client.read_all()] == [1002]


async def test_fast_path_resumes_after_frame_in_many_reads() -> None:
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
