"""The link of the rig and each of its faults."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.faults.links import Link

TIMEOUT_S = 5.0
SILENCE_S = 0.2


@asynccontextmanager
async def echo_through_link() -> AsyncIterator[tuple[Link, asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection through a link to a server that echoes."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(1000):
                writer.write(chunk)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, Link(server.sockets[0].getsockname()[1]) as link, asyncio.timeout(TIMEOUT_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        writer.write(b"a")
        assert await reader.read(1) == b"a"
        yield link, reader, writer
        writer.close()


async def is_silent(reader: asyncio.StreamReader) -> bool:
    try:
        await asyncio.wait_for(reader.read(1), SILENCE_S)
    except TimeoutError:
        return True
    return False


async def test_healthy_link_passes_all_bytes_and_end_of_stream() -> None:
    async with echo_through_link() as (_, reader, writer):
        writer.write(b"b" * 300_000)
        assert await reader.readexactly(300_000) == b"b" * 300_000
        writer.write_eof()
        assert await reader.read() == b""


@pytest.mark.parametrize("ways", [("upward",), ("downward",), ()])
async def test_stalled_link_delivers_after_healing(ways: tuple[str, ...]) -> None:
    async with echo_through_link() as (link, reader, writer):
        link.stall(*(getattr(link, way) for way in ways))
        writer.write(b"b")
        assert await is_silent(reader)
        link.heal()
        assert await reader.read(1) == b"b"


async def test_stalled_link_accepts_connections_without_responding() -> None:
    async with echo_through_link() as (link, _, _):
        link.stall()
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        writer.write(b"b")
        assert await is_silent(reader)
        writer.close()


async def test_slow_link_delays_each_direction() -> None:
    async with echo_through_link() as (link, reader, writer):
        link.delay(0.1)
        began = asyncio.get_running_loop().time()
        writer.write(b"b")
        assert await reader.read(1) == b"b"
        assert asyncio.get_running_loop().time() - began >= 0.2


async def test_throttled_link_limits_bandwidth() -> None:
    async with echo_through_link() as (link, reader, writer):
        link.throttle(10_000)
        began = asyncio.get_running_loop().time()
        writer.write(b"b" * 1000)
        await reader.readexactly(1000)
        assert asyncio.get_running_loop().time() - began >= 0.2


async def test_reset_ends_every_connection_at_once() -> None:
    async with echo_through_link() as (link, reader, _):
        link.reset()
        with pytest.raises(ConnectionResetError):
            await reader.read(1)


async def test_muted_subscription_stalls_while_other_traffic_passes() -> None:
    async with echo_through_link() as (link, reader, writer):
        ear_reader, ear_writer = await asyncio.open_connection("127.0.0.1", link.port)
        ear_writer.write(b"SUBSCRIBE")
        assert await ear_reader.readexactly(9) == b"SUBSCRIBE"
        link.ears.clear()
        ear_writer.write(b"b")
        assert await is_silent(ear_reader)
        writer.write(b"c")
        assert await reader.read(1) == b"c"
        link.heal()
        assert await ear_reader.read(1) == b"b"
        ear_writer.close()
