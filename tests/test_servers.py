"""The servers that other tests stand on."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.servers import NginxServer, PostgresServer, RedisServer, wait_until

StartNginx = Callable[[Sequence[int]], NginxServer]


async def test_a_restarted_redis_is_empty_and_keeps_its_port(redis_server: RedisServer) -> None:
    async with Redis.from_url(redis_server.url) as redis:
        await redis.set("a", 1)
        redis_server.kill()
        with pytest.raises(RedisConnectionError):
            await redis.get("a")
        redis_server.restart()
        assert await redis.get("a") is None


async def test_every_test_gets_an_empty_database(postgres_server: PostgresServer, postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
        assert await connection.fetchval("SHOW synchronous_commit") == "on"
        postgres_server.pause()
        with pytest.raises(TimeoutError):
            await connection.fetchval("SELECT 1", timeout=0.2)
        postgres_server.resume()
    finally:
        await connection.close()
    postgres_server.restart()
    assert postgres_server.query("postgres", "SELECT 1") == "1"


async def test_nginx_goes_round_its_upstreams(nginx: StartNginx) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = str(writer.get_extra_info("sockname")[1])
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    one, two = [await asyncio.start_server(answer, "127.0.0.1", 0) for _ in range(2)]
    async with one, two, httpx.AsyncClient() as client:
        ports = [server.sockets[0].getsockname()[1] for server in (one, two)]
        balancer = nginx(ports)
        seen = {(await client.get(balancer.url)).text for _ in range(4)}
    assert seen == {str(port) for port in ports}


@pytest.mark.skipif(sys.platform != "linux", reason="needs setpriv")
def test_servers_die_with_a_killed_test_process(tmp_path: Path) -> None:
    script = """
        import pathlib, sys, time
        from tests.servers import RedisServer
        server = RedisServer(pathlib.Path(sys.argv[1]))
        server.start()
        print(server.pid, flush=True)
        time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1], text=True) as process:
        assert process.stdout is not None
        server_pid = int(process.stdout.readline())
        os.kill(server_pid, 0)
        process.send_signal(signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{server_pid}").exists(), "the server is gone", 5)
