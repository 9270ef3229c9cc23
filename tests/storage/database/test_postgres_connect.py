"""Every form of PostgreSQL URL on real servers: TLS, client certificates, sockets, IPv6, several hosts."""

import asyncio
import logging
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from storage.database.database import Row, open_database
from storage.database.database_url import PostgresUrl, parse
from storage.database.migrate import migrate
from storage.database.postgres_connect import Connector
from storage.errors import StorageUnavailable
from tests.support.certificates import Authority, Pair
from tests.support.migrated import make_store
from tests.support.servers import PostgresServer, PostgresStandby, free_port, temporary_folder

HBA = """
local all all trust
hostssl all certified 127.0.0.1/32 cert
hostssl all all 127.0.0.1/32 trust
hostssl all all ::1/128 trust
"""
MINE = "FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE pid = pg_backend_pid()"


@dataclass(frozen=True)
class TlsPostgres:
    """A PostgreSQL that takes TLS only, at 127.0.0.1 and ::1, with a certificate for localhost; and a Unix socket."""

    port: int
    socket_folder: Path
    root: Path
    other_root: Path
    client: Pair


@pytest.fixture(scope="module")
def server() -> Iterator[TlsPostgres]:
    folder = temporary_folder()
    try:
        authority, other = Authority(folder, "root"), Authority(folder, "other")
        pair, client = authority.issue("localhost", "DNS:localhost"), authority.issue("certified")
        (folder / "hba.conf").write_text(HBA)
        postgres = PostgresServer(
            folder,
            fsync="off",
            listen_addresses="127.0.0.1,::1",
            unix_socket_directories=str(folder),
            hba_file=str(folder / "hba.conf"),
            ssl="on",
            ssl_cert_file=str(pair.certificate),
            ssl_key_file=str(pair.key),
            ssl_ca_file=str(authority.certificate),
        )
        for path in (pair.certificate, pair.key, authority.certificate, folder / "hba.conf"):
            shutil.chown(path, folder.owner())
        with postgres:
            postgres.query("postgres", "CREATE ROLE certified LOGIN")
            postgres.query("postgres", 'CREATE ROLE "sa@proj.iam" LOGIN')
            postgres.query("postgres", 'CREATE DATABASE "chat db#1/2?" OWNER "sa@proj.iam"')
            yield TlsPostgres(postgres.port, folder, authority.certificate, other.certificate, client)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def ask(url: str, sql: str) -> Row:
    async with open_database(url) as database:
        return (await database.fetch(sql))[0]


async def test_user_and_database_are_decoded(server: TlsPostgres) -> None:
    url = f"postgres://sa%40proj.iam@localhost:{server.port}/chat%20db%231%2F2%3F"
    row = await ask(url, "SELECT current_user::text AS who, current_database()::text AS what")
    assert row == {"who": "sa@proj.iam", "what": "chat db#1/2?"}


async def test_migrate_accepts_the_same_url(server: TlsPostgres) -> None:
    url = f"postgres://sa%40proj.iam@localhost:{server.port}/chat%20db%231%2F2%3F?sslmode=verify-full"
    await migrate(f"{url}&sslrootcert={server.root}")
    assert (await ask(url + f"&sslrootcert={server.root}", "SELECT count(*) AS n FROM store_identity"))["n"] == 1


@pytest.mark.parametrize("host", ["[::1]", "%3A%3A1"])
async def test_host_may_be_an_ipv6_address(server: TlsPostgres, host: str) -> None:
    url = f"postgres://postgres@{host}:{server.port}/postgres"
    assert (await ask(url, "SELECT host(inet_server_addr()) AS host"))["host"] == "::1"


@pytest.mark.parametrize(
    "form", ["postgres://postgres@/postgres?host={}&port={}", "postgres://postgres@{}:{}/postgres"]
)
async def test_host_may_be_a_socket_folder(server: TlsPostgres, form: str) -> None:
    folder = str(server.socket_folder)
    url = form.format(folder if "?" in form else folder.replace("/", "%2F"), server.port)
    assert (await ask(f"{url}", "SELECT inet_server_addr() AS host"))["host"] is None


@pytest.mark.parametrize(
    ("mode", "root", "host", "is_encrypted"),
    [
        ("disable", None, "localhost", None),
        ("allow", None, "localhost", True),
        ("prefer", None, "localhost", True),
        ("require", None, "127.0.0.1", True),
        ("require", "other_root", "127.0.0.1", None),
        ("verify-ca", "root", "127.0.0.1", True),
        ("verify-ca", "other_root", "127.0.0.1", None),
        ("verify-full", "root", "localhost", True),
        ("verify-full", "root", "127.0.0.1", None),
        ("verify-full", "other_root", "localhost", None),
        ("verify-full", "system", "localhost", None),
    ],
)
async def test_each_sslmode_verifies_as_specified(
    server: TlsPostgres, mode: str, root: str | None, host: str, is_encrypted: bool | None
) -> None:
    url = f"postgres://postgres@{host}:{server.port}/postgres?sslmode={mode}"
    if root is not None:
        url += f"&sslrootcert={getattr(server, root, root)}"
    if is_encrypted is None:
        with pytest.raises(StorageUnavailable):
            await ask(url, "SELECT 1")
    else:
        assert (await ask(url, f"SELECT ssl {MINE}"))["ssl"] is is_encrypted


@pytest.mark.parametrize(
    ("root", "host", "is_verified"),
    [
        ("root", "localhost", True),
        ("other_root", "localhost", False),
        ("root", "127.0.0.1", False),
        (None, "localhost", False),
    ],
)
async def test_required_channel_binding_accepts_verified_servers_only(
    server: TlsPostgres, monkeypatch: pytest.MonkeyPatch, root: str | None, host: str, is_verified: bool
) -> None:
    monkeypatch.setenv("HOME", "/nonexistent")  # sslmode=require would take a root.crt there
    url = f"postgres://postgres@{host}:{server.port}/postgres?sslmode=require"
    assert (await ask(url, f"SELECT ssl {MINE}"))["ssl"]
    url += "&channel_binding=require"
    if root is not None:
        url += f"&sslrootcert={getattr(server, root)}"
    if is_verified:
        assert (await ask(url, f"SELECT ssl {MINE}"))["ssl"]
    else:
        with pytest.raises(StorageUnavailable, match="certificate"):
            await ask(url, "SELECT 1")


async def test_system_roots_verify_a_server_that_they_signed(
    server: TlsPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(server.root))
    place = f"{server.port}/postgres"
    for parameters in ("sslmode=require&channel_binding=require", "sslmode=verify-full&sslrootcert=system"):
        url = f"postgres://postgres@localhost:{place}?{parameters}"
        assert (await ask(url, f"SELECT ssl {MINE}"))["ssl"]
        certified = f"postgres://certified@localhost:{place}?{parameters}"
        certified += f"&sslcert={server.client.certificate}&sslkey={server.client.key}"
        assert (await ask(certified, f"SELECT client_dn {MINE}"))["client_dn"] == "/CN=certified"


async def test_client_certificate_is_sent_to_the_server(server: TlsPostgres) -> None:
    url = f"postgres://certified@127.0.0.1:{server.port}/postgres?sslmode=require"
    with pytest.raises(StorageUnavailable, match="certificate"):
        await ask(url, "SELECT 1")
    url += f"&sslcert={server.client.certificate}&sslkey={server.client.key}"
    assert (await ask(url, f"SELECT client_dn {MINE}"))["client_dn"] == "/CN=certified"


async def test_application_name_and_options_reach_the_session(server: TlsPostgres) -> None:
    url = f"postgres://postgres@localhost:{server.port}/postgres"
    sql = "SELECT current_setting('application_name') AS name, current_setting('geqo') AS geqo"
    assert await ask(url, sql) == {"name": "chat-gateway", "geqo": "on"}
    url += "?application_name=my%20chat&options=-c%20geqo%3Doff"
    assert await ask(url, sql) == {"name": "my chat", "geqo": "off"}


async def test_keepalives_are_set_on_the_socket(postgres_url: str) -> None:
    url = f"{postgres_url}?keepalives_idle=33&keepalives_interval=7&keepalives_count=4"
    async with open_database(url) as database:
        assert database.postgres is not None
        async with database.postgres.acquire_connection() as connection:
            opened = connection._transport.get_extra_info("socket")
            assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 33
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 7
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 4


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


async def test_connect_timeout_bounds_a_silent_host(silent_port: int) -> None:
    started = time.monotonic()
    with pytest.raises(StorageUnavailable):
        await ask(f"postgres://postgres@127.0.0.1:{silent_port}/d?connect_timeout=1", "SELECT 1")
    with_timeout_s = time.monotonic() - started
    with pytest.raises(StorageUnavailable):
        await ask(f"postgres://postgres@127.0.0.1:{silent_port}/d?connect_timeout=3", "SELECT 1")
    assert time.monotonic() - started - with_timeout_s > with_timeout_s + 1


async def test_several_hosts_are_tried_in_turn(postgres_url: str, silent_port: int) -> None:
    place = postgres_url.removeprefix("postgres://postgres@")
    hosts = f"127.0.0.1:{free_port()},127.0.0.1:{silent_port},{place}"
    await migrate(f"postgres://postgres@{hosts}?connect_timeout=1")
    assert (await ask(f"postgres://postgres@{hosts}", "SELECT 1 AS one"))["one"] == 1


async def test_target_session_attrs_select_the_host() -> None:
    folders = temporary_folder(), temporary_folder()
    try:
        with PostgresServer(folders[0], fsync="off") as primary, PostgresStandby(folders[1], primary.port) as standby:
            hosts = {"primary": primary.port, "standby": standby.port}
            for wanted, first, expected in (
                ("read-write", "standby", "primary"),
                ("primary", "standby", "primary"),
                ("any", "standby", "standby"),
                ("prefer-standby", "primary", "standby"),
                ("standby", "primary", "standby"),
            ):
                order = sorted(hosts, key=lambda name, first=first: name != first)
                places = ",".join(f"127.0.0.1:{hosts[name]}" for name in order)
                url = f"postgres://postgres@{places}/postgres?target_session_attrs={wanted}"
                sql = "SELECT current_setting('port')::int AS port"
                async with asyncio.timeout(10):
                    assert await port_of(url, sql) == hosts[expected], wanted
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


async def port_of(url: str, sql: str) -> int:
    """By a connection alone: what opens a database asks for what a standby cannot answer."""
    parsed = parse(url)
    assert isinstance(parsed, PostgresUrl)
    connection = await Connector(parsed, {})()
    try:
        return int(await connection.fetchval(sql))
    finally:
        await connection.close()


async def test_logs_and_errors_hide_the_password(postgres_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    place = postgres_url.removeprefix("postgres://postgres@")
    await ask(f"postgres://postgres:hunter2@{place}", "SELECT 1")
    await migrate(f"postgres://postgres:hunter2@{place}")
    with pytest.raises(StorageUnavailable) as failure:
        await ask(f"postgres://postgres:hunter2@127.0.0.1:{free_port()}/d", "SELECT 1")
    assert "hunter2" not in caplog.text + str(failure.value)


@pytest.mark.parametrize("name", ["a#b", "a?b=c", "a%20b", "a b", "чат", "a&b;c", "file:x?mode=ro"])
async def test_sqlite_file_name_is_used_verbatim(tmp_path: Path, name: str) -> None:
    (folder := tmp_path / f"in {name}").mkdir()
    url = f"sqlite://{folder}/{name}.db"
    await make_store(url)  # writes the file itself: a `migrate` that understood another name would make another file
    await migrate(url)
    assert (await ask(url, "SELECT count(*) AS n FROM store_identity"))["n"] == 1
    assert {path.name.removesuffix(".lock") for path in folder.iterdir()} <= {
        f"{name}.db{suffix}" for suffix in ("", "-wal", "-shm")
    }
    assert list(tmp_path.iterdir()) == [folder]
