"""Whom Sentinels name, and who is refused though they name him."""

import asyncio
import shutil
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis
from redis.exceptions import RedisError

from gateway.redis.endpoint import open_client
from gateway.redis.stream import CONNECT_S, Stream, StreamBroken, pack
from tests.gateway.redis.waiting import eventually_async
from tests.sentinels import SERVICE, RedisTrio, SentinelServer
from tests.servers import RedisServer, temporary_folder

PASSWORD = "f00t"
WITHIN_S = 0.5


@pytest.fixture(scope="module")
def trio() -> Iterator[RedisTrio]:
    """Two Redis servers and their Sentinels, whom nobody may pause: for half a minute after it they do nothing."""
    folder = temporary_folder()
    trio = RedisTrio.local(folder)
    try:
        trio.start()
        yield trio
    finally:
        trio.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def silent() -> Iterator[str]:
    """An address where connections are accepted and nothing is answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


async def test_a_silent_sentinel_costs_its_share_of_the_time(trio: RedisTrio, silent: str) -> None:
    began = asyncio.get_running_loop().time()
    (await Stream.open(trio.url.replace("://", f"://{silent},"))).close()
    assert asyncio.get_running_loop().time() - began < CONNECT_S


async def test_silent_sentinels_are_given_up_in_time(silent: str) -> None:
    began = asyncio.get_running_loop().time()
    with pytest.raises(StreamBroken):
        await Stream.open(f"redis+sentinel://{silent},{silent}/{SERVICE}")
    assert asyncio.get_running_loop().time() - began < CONNECT_S + 1


async def test_a_service_that_no_sentinel_knows_is_no_connection(trio: RedisTrio) -> None:
    with pytest.raises(StreamBroken, match="no Sentinel knows"):
        await Stream.open(trio.url.replace(f"/{SERVICE}/", "/other/"))


async def test_a_client_goes_where_the_master_has_gone(trio: RedisTrio) -> None:
    """Also a client of redis-py, which auth has."""
    await trio.whole()
    before = await trio.master()
    async with open_client(trio.url, WITHIN_S) as client:
        await client.set("key", 1)
        await trio.order_failover()
        after = await trio.failed_over(before)

        async def writes_there() -> bool:
            with suppress(RedisError, TimeoutError):
                async with asyncio.timeout(WITHIN_S):
                    await client.set("key", 2)
            with redis.Redis(port=after.port) as link:
                return link.get("key") == b"2"

        # At first it writes to the old one: Sentinels let some ten seconds pass before they demote it.
        await eventually_async(writes_there, timeout_s=30)


async def test_a_server_that_is_a_replica_by_now_is_refused_whatever_the_sentinel_says(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    server = RedisServer(tmp_path / "redis")
    sentinel = SentinelServer(tmp_path, server.port)
    try:
        server.start()
        sentinel.start()
        url = f"redis+sentinel://127.0.0.1:{sentinel.port}/{SERVICE}"
        (await Stream.open(url)).close()
        with redis.Redis(port=server.port) as link:
            link.replicaof("127.0.0.1", "1")
        assert sentinel.master() == server.port
        with pytest.raises(StreamBroken, match="not a master"):
            await Stream.open(url)
    finally:
        sentinel.stop()
        server.stop()


@pytest.mark.parametrize("sentinel_asks", [True, False])
async def test_the_password_is_for_redis_and_for_sentinels_that_ask_for_one(
    tmp_path: Path, sentinel_asks: bool
) -> None:
    (tmp_path / "redis").mkdir()
    server = RedisServer(tmp_path / "redis")
    server.start()
    sentinel = SentinelServer(tmp_path, server.port)
    try:
        sentinel.start()
        with redis.Redis(port=server.port) as link:
            link.config_set("requirepass", PASSWORD)
        with redis.Redis(port=sentinel.port) as link:
            link.execute_command("SENTINEL", "SET", SERVICE, "auth-pass", PASSWORD)  # type: ignore[no-untyped-call]
            if sentinel_asks:
                link.execute_command("ACL", "SETUSER", "default", "resetpass", f">{PASSWORD}")  # type: ignore[no-untyped-call]
        stream = await Stream.open(f"redis+sentinel://:{PASSWORD}@127.0.0.1:{sentinel.port}/{SERVICE}/3")
        stream.write(pack("CLIENT", "INFO"))
        (reply,) = await stream.read()
        stream.close()
        assert b" db=3 " in reply
    finally:
        sentinel.stop()
        server.stop()
