"""The servers used by the tests."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from storage.database.database import open_database
from storage.database.migrate import migrate
from storage.database.store_identity import store_id
from storage.repositories.auth.accounts import Accounts
from tests.support.database_pool import DatabasePool
from tests.support.forked import ProgramServer
from tests.support.migrated import make_store
from tests.support.servers import NginxServer, PostgresServer, RedisServer, wait_until

StartNginx = Callable[[Sequence[int]], NginxServer]


async def test_restarted_redis_is_empty_and_keeps_its_port(redis_server: RedisServer) -> None:
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


async def oid_and_contents(url: str) -> tuple[int, list[Any]]:
    """Which database it is, and what is in it but for the store's id."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        rows = {
            name: await connection.fetch(f"SELECT {'restores' if name == 'store_identity' else '*'} FROM {name}")
            for (name,) in tables
        }
        sequences = await connection.fetch("SELECT sequencename, last_value FROM pg_sequences ORDER BY 1")
        oid = await connection.fetchval("SELECT oid FROM pg_database WHERE datname = current_database()")
        return oid, [rows, sequences]
    finally:
        await connection.close()


async def test_database_of_earlier_test_is_as_new_or_dropped(database_pool: DatabasePool) -> None:
    url = database_pool.take()
    await make_store(url)
    first, contents = await oid_and_contents(url)
    async with open_database(url) as database:
        ids = [await store_id(database)]
        await Accounts(database).create("ann", "no password", "Ann", "Test")
        await database.write("DELETE FROM tortoise_migrations")
    forgotten = await asyncpg.connect(url)
    database_pool.give_back(url)
    with pytest.raises(asyncpg.PostgresConnectionError):
        await forgotten.fetch("SELECT 1")
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(url)
    for change in ("CREATE INDEX one ON users (first_name)", "GRANT SELECT ON users TO PUBLIC"):
        url = database_pool.take()
        assert (await oid_and_contents(url))[1] == [{}, []]
        await make_store(url)
        assert await oid_and_contents(url) == (first, contents)
        async with open_database(url) as database:
            ids.append(await store_id(database))
            await database.write(change)
        database_pool.give_back(url)
        url = database_pool.take()
        await make_store(url)
        dropped, (first, again) = first, await oid_and_contents(url)
        assert again == contents
        assert first != dropped
        database_pool.give_back(url)
    assert len(set(ids)) == len(ids)


async def test_nginx_balances_over_its_upstreams(nginx: StartNginx) -> None:
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


async def schema(url: str) -> list[Any]:
    """What the database at `url` calls its tables, indexes and columns, and the migrations that it had."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite://"))) as database:
            tables = database.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
            return [tables, database.execute("SELECT app, name FROM tortoise_migrations ORDER BY id").fetchall()]
    columns = "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns"
    connection = await asyncpg.connect(url)
    try:
        return [
            await connection.fetch(f"{columns} WHERE table_schema = 'public' ORDER BY 1, 2"),
            await connection.fetch("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"),
            await connection.fetch("SELECT pg_get_constraintdef(oid) AS c FROM pg_constraint ORDER BY 1"),
            await connection.fetch("SELECT app, name FROM tortoise_migrations ORDER BY id"),
        ]
    finally:
        await connection.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_store_is_as_a_migration_makes_it_but_for_its_id(
    kind: str, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    def fresh(name: str) -> str:
        return f"sqlite://{tmp_path / name}.db" if kind == "sqlite" else postgres_server.create_database()

    urls = [fresh(name) for name in ("migrated", "first", "second", "third")]
    await migrate(urls[0])
    for url in urls[1:]:
        await make_store(url)
    wanted, *made = [await schema(url) for url in urls]
    assert made == [wanted] * 3
    ids = set()
    for url in urls:
        async with open_database(url) as database:
            ids.add(await store_id(database))
    assert len(ids) == len(urls)


@pytest.mark.skipif(sys.platform != "linux", reason="only there are programs forked")
def test_a_forked_program_has_its_own_environment_log_and_end(tmp_path: Path) -> None:
    refused = ProgramServer(["gateway"], tmp_path, {"APP_PORT": "none"})._spawn()
    assert refused.wait(60) == 2
    assert "APP_PORT" in (tmp_path / "server.log").read_text()
    runs = ProgramServer(["auth"], tmp_path, {"REDIS_URL": "redis://127.0.0.1:1/0", "AUTH_PORT": 0})._spawn()
    try:
        assert runs.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            runs.wait(0.01)
    finally:
        runs.kill()
    assert (runs.wait(60), runs.poll()) == (-signal.SIGKILL, -signal.SIGKILL)
    runs.kill()  # it has ended: no other process gets the signal


@pytest.mark.skipif(sys.platform != "linux", reason="needs setpriv")
def test_servers_end_with_a_killed_test_process(tmp_path: Path) -> None:
    script = """
        import pathlib, sys, time
        from tests.support.servers import RedisServer
        from tests.support.forked import ProgramServer
        server = RedisServer(pathlib.Path(sys.argv[1]))
        server.start()
        program = ProgramServer(["auth"], pathlib.Path(sys.argv[1]), {"REDIS_URL": server.url, "AUTH_PORT": 0})
        print(server.pid, program._spawn().pid, flush=True)
        time.sleep(60)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1], text=True) as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        for pid in pids:
            os.kill(pid, 0)
        process.send_signal(signal.SIGKILL)
    for pid in pids:
        wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), "the server is gone")  # type: ignore[misc]


def test_loaded_modules_are_the_same_in_every_process(tmp_path: Path) -> None:
    script = """
        import sys
        from tests.support.fork_server import load
        for name in load():
            for key, value in vars(sys.modules[name]).items():
                if isinstance(value, str | bytes | int | float) and not key.startswith("__"):
                    print(f"{name}.{key} {value!r}")
    """
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    loaded = []
    for environ in ({}, {"APP_ENV": "production", "REDIS_URL": "redis://x:1/0", "TZ": "Asia/Tokyo"}):
        command = [sys.executable, "-c", textwrap.dedent(script)]
        folder = tmp_path / str(len(loaded))
        folder.mkdir()
        ended = subprocess.run(command, capture_output=True, cwd=folder, env={"PYTHONPATH": path, **environ}, text=True)
        assert ended.returncode == 0, ended.stderr
        loaded.append(set(ended.stdout.splitlines()))
    differing = {line.partition(" ")[0] for line in loaded[0] ^ loaded[1]}
    assert len(loaded[0]) > 500
    assert differing == {"gateway.protocol.validation._PROCESS"}  # the prefix of message ids
