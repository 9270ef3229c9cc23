"""Masters named by Sentinels, and servers that are rejected although a Sentinel names them."""

import asyncio
import shutil
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis
from redis.exceptions import RedisError

from gateway.errors import RedisAccessRefused, RedisConnectionLost
from gateway.redis.connection.connection import CONNECT_S, ServerConnection, pack
from gateway.redis.connection.redis_py import open_client
from tests.support.machine_speed import slowness
from tests.support.sentinels import SERVICE, RedisTrio, SentinelServer
from tests.support.servers import RedisServer, temporary_folder
from tests.support.waiting import eventually_async

PASSWORD = "f00t"
WITHIN_S = 0.5


@pytest.fixture(scope="module")
def trio() -> Iterator[RedisTrio]:
    """Two Redis servers and their Sentinels, which must not be paused: they are inactive for half a minute after it."""
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


async def test_silent_sentinel_uses_only_its_share_of_the_timeout(trio: RedisTrio, silent: str) -> None:
    began = asyncio.get_running_loop().time()
    (await ServerConnection.open(trio.url.replace("://", f"://{silent},"))).close()
    assert asyncio.get_running_loop().time() - began < CONNECT_S


async def test_silent_sentinels_time_out(silent: str) -> None:
    began = asyncio.get_running_loop().time()
    with pytest.raises(RedisConnectionLost):
        await ServerConnection.open(f"redis+sentinel://{silent},{silent}/{SERVICE}")
    assert asyncio.get_running_loop().time() - began < CONNECT_S + slowness()


async def test_service_unknown_to_sentinels_is_a_broken_stream(trio: RedisTrio) -> None:
    with pytest.raises(RedisConnectionLost, match="no Sentinel knows"):
        await ServerConnection.open(trio.url.replace(f"/{SERVICE}/", "/other/"))


async def test_client_follows_master_after_failover(trio: RedisTrio) -> None:
    """Also a client of redis-py, which auth has."""
    await trio.whole()
    before = await trio.master()
    async with open_client(trio.url, WITHIN_S) as client:
        await client.set("key", 1)
        after = await trio.order_failover(before)

        async def writes_there() -> bool:
            with suppress(RedisError, TimeoutError):
                async with asyncio.timeout(WITHIN_S):
                    await client.set("key", 2)
            with redis.Redis(port=after.port) as link:
                return link.get("key") == b"2"

        # At first it writes to the old one: Sentinels let some ten seconds pass before they demote it.
        await eventually_async(writes_there, timeout_s=30)


async def test_server_demoted_to_replica_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    server = RedisServer(tmp_path / "redis")
    sentinel = SentinelServer(tmp_path, server.port)
    try:
        server.start()
        sentinel.start()
        url = f"redis+sentinel://127.0.0.1:{sentinel.port}/{SERVICE}"
        (await ServerConnection.open(url)).close()
        with redis.Redis(port=server.port) as link:
            link.replicaof("127.0.0.1", "1")
        assert sentinel.master() == server.port
        with pytest.raises(RedisConnectionLost, match="not a master"):
            await ServerConnection.open(url)
    finally:
        sentinel.stop()
        server.stop()


@pytest.mark.parametrize("sentinel_asks", [True, False])
async def test_password_is_sent_to_redis_and_sentinels_that_need_it(tmp_path: Path, sentinel_asks: bool) -> None:
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
        stream = await ServerConnection.open(f"redis+sentinel://:{PASSWORD}@127.0.0.1:{sentinel.port}/{SERVICE}/3")
        stream.write(pack("CLIENT", "INFO"))
        (reply,) = await stream.read()
        stream.close()
        assert b" db=3 " in reply
    finally:
        sentinel.stop()
        server.stop()


async def test_sentinels_with_own_user_are_authenticated(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    server = RedisServer(tmp_path / "redis")
    server.start()
    sentinel = SentinelServer(tmp_path, server.port)
    rights = ["+sentinel|get-master-addr-by-name", "+sentinel|masters", "+sentinel|sentinels", "+ping"]
    try:
        sentinel.start()
        with redis.Redis(port=server.port) as link:
            link.config_set("requirepass", PASSWORD)
        with redis.Redis(port=sentinel.port) as link:
            link.execute_command("SENTINEL", "SET", SERVICE, "auth-pass", PASSWORD)  # type: ignore[no-untyped-call]
            link.execute_command("ACL", "SETUSER", "finder", "on", ">f/nder", "resetchannels", "-@all", *rights)  # type: ignore[no-untyped-call]
            link.execute_command("ACL", "SETUSER", "default", "off")  # type: ignore[no-untyped-call]
        url = f"redis+sentinel://:{PASSWORD}@127.0.0.1:{sentinel.port}/{SERVICE}"
        own = f"{url}?sentinel_username=finder&sentinel_password=f%2Fnder"
        (await ServerConnection.open(own)).close()
        async with open_client(own, CONNECT_S) as client:
            assert await client.ping()
        with pytest.raises(RedisAccessRefused) as refused:
            await ServerConnection.open(url)
        assert "WRONGPASS" in refused.value.reason
        with pytest.raises(RedisAccessRefused):
            await ServerConnection.open(own.replace("f%2Fnder", "wrong"))
    finally:
        sentinel.stop()
        server.stop()
