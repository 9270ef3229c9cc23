"""Interrupted connects: reset, as by a balancer in front of a dead Redis, or cancelled."""

import asyncio
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from gateway.errors import RedisConnectionLost
from gateway.redis.connection.connection import ServerConnection, pack
from tests.support.sentinels import SERVICE, SentinelServer
from tests.support.servers import RedisServer

TRIES = 20
CANCELLED = 200
OPENING_S = 0.005
DAWDLE_S = 0.001
ABORTIVE = struct.pack("ii", 1, 0)  # SO_LINGER with 0 s: close means RST


@pytest.fixture
def resetting_port() -> Iterator[int]:
    """A port of 127.0.0.1 that accepts every connection and resets it at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORTIVE)
                connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_reset_during_connect_on_uvloop_is_a_broken_stream(resetting_port: int) -> None:
    async def connect() -> None:
        loop = asyncio.get_running_loop()

        def dawdle() -> None:
            """In a loop this slow, the reset has arrived before the next step is taken."""
            time.sleep(DAWDLE_S)
            loop.call_soon(dawdle)

        dawdle()
        for _ in range(TRIES):
            with pytest.raises(RedisConnectionLost):
                await ServerConnection.open(f"redis://127.0.0.1:{resetting_port}/0")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(connect())


@pytest.mark.parametrize("behind_sentinels", [False, True])
async def test_task_cancelled_during_connect_ends(
    redis_server: RedisServer, tmp_path: Path, behind_sentinels: bool
) -> None:
    """A node whose link went on connecting could not leave. By redis-py's time limits, one in five went on."""
    sentinel = SentinelServer(tmp_path, redis_server.port)
    sentinel.start()
    url = f"redis+sentinel://127.0.0.1:{sentinel.port}/{SERVICE}" if behind_sentinels else redis_server.url
    cut = 0

    async def connect() -> None:
        (await ServerConnection.open(url)).close()

    try:
        async with asyncio.timeout(30):
            while cut < CANCELLED:
                task = asyncio.create_task(connect())
                await asyncio.sleep(random.uniform(0, OPENING_S))
                if task.cancel():
                    await asyncio.wait([task])
                    assert task.cancelled()
                    cut += 1
    finally:
        sentinel.stop()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this platform has none")
async def test_kernel_drops_silent_peer_after_ten_seconds(redis_server: RedisServer) -> None:
    stream = await ServerConnection.open(redis_server.url)
    connected = stream._writer.get_extra_info("socket")
    assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
    assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    stream.close()


@pytest.mark.parametrize(("is_closed_here", "reason"), [(True, "closed by this node"), (False, "closed by Redis")])
async def test_lost_connection_says_which_side_closed_it(
    redis_server: RedisServer, is_closed_here: bool, reason: str
) -> None:
    stream = await ServerConnection.open(redis_server.url)
    reading = asyncio.create_task(stream.read())
    await asyncio.sleep(0)
    if is_closed_here:
        stream.close()
    else:
        stream.write(pack("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"))
    with pytest.raises(RedisConnectionLost, match=reason):
        while True:  # the command's reply may come first
            await reading
            reading = asyncio.create_task(stream.read())
