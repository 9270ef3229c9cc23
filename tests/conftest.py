"""Fixtures that every test may use: real Redis, real PostgreSQL, SQLite."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.browser import browser as browser
from tests.support.browser import chromium as chromium
from tests.support.database_pool import DatabasePool
from tests.support.http_timeout import extend_http_timeout
from tests.support.log_secrets import fail_on_secrets
from tests.support.log_secrets import pytest_runtest_teardown as pytest_runtest_teardown
from tests.support.migrated import share_copies
from tests.support.pgbouncer import PgBouncer
from tests.support.rabbitmq import RabbitServer
from tests.support.redis_layouts import layout_url as layout_url
from tests.support.redis_layouts import redis_servers as redis_servers
from tests.support.response_secrets import secrets_received, watch_responses
from tests.support.servers import NginxServer, PostgresServer, RedisServer, temporary_folder
from tests.support.shared_certificates import share_certificates

SYSTEMS = ("browsers", "deploy", "e2e", "faults", "loadtests", "up")


watch_responses()
extend_http_timeout()
share_certificates()
settings.register_profile("tests", deadline=None)  # a deadline of an example would assert a speed of the machine
settings.load_profile("tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests with a browser its event loop, and set tests of whole systems first.

    Their files take up to minutes, and short ones fill the last minute of a run.
    """
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
    folders = tuple(f"tests/{name}/" for name in SYSTEMS)
    items.sort(key=lambda item: not item.nodeid.startswith(folders))


@pytest.fixture(scope="session", autouse=True)
def migrated_by_all_workers(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Of the processes that run files in parallel, one migrates a database for all."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        share_copies(tmp_path_factory.getbasetemp().parent)


@pytest.fixture(autouse=True)
def no_secret_received() -> Iterator[None]:
    """Fails a test that received a secret in an error, a metric or an audit record."""
    secrets_received()
    yield
    if found := secrets_received():
        pytest.fail("a response holds a secret:\n" + "\n".join(found[:20]), pytrace=False)


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """An empty Redis for this test only."""
    folder = tmp_path / "redis"
    folder.mkdir()
    server = RedisServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty Redis for this test only."""
    return redis_server.url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The session's PostgreSQL. A test that stops or pauses it must leave it running."""
    folder = temporary_folder()
    try:
        # Hundreds of databases come and go, each with a checkpoint; no statistics of one test are left for the next.
        server = PostgresServer(folder, fsync="off", autovacuum="off")
        try:
            server.start()
            yield server
        finally:
            server.stop()
        fail_on_secrets(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def database_pool(postgres_server: PostgresServer) -> Iterator[DatabasePool]:
    """The databases of the session's PostgreSQL."""
    pool = DatabasePool(postgres_server)
    yield pool
    pool.close()


@pytest.fixture
def postgres_url(database_pool: DatabasePool) -> Iterator[str]:
    """A fresh database in the session's PostgreSQL."""
    url = database_pool.take()
    yield url
    database_pool.give_back(url)


@pytest.fixture
def pgbouncer(request: pytest.FixtureRequest, postgres_server: PostgresServer) -> Iterator[PgBouncer]:
    """A pgbouncer in transaction mode, for this test only, in front of the session's PostgreSQL.

    `indirect` parameters are lines of its configuration.
    """
    folder = temporary_folder()
    try:
        with PgBouncer(folder, postgres_server.port, options=getattr(request, "param", "")) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def pooled_url(pgbouncer: PgBouncer, postgres_url: str) -> str:
    """A fresh database in the session's PostgreSQL, accessed through pgbouncer."""
    return pgbouncer.url(postgres_url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a database file that does not exist yet."""
    return f"sqlite://{tmp_path / 'x.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database of either kind: the test runs on both."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitServer]:
    """The session's RabbitMQ. A test that stops or pauses it must leave it running."""
    folder = temporary_folder()
    try:
        server = RabbitServer(folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()
        fail_on_secrets(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def amqp_url(rabbitmq_server: RabbitServer) -> str:
    """The session's RabbitMQ without our queues."""
    await rabbitmq_server.delete("messages", "messages.dead", "chat-messages", "chat-messages.dead")
    return rabbitmq_server.url


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Callable[[Sequence[int]], NginxServer]]:
    """A function that starts an nginx in front of the given ports of 127.0.0.1."""
    servers: list[NginxServer] = []

    def start(upstreams: Sequence[int]) -> NginxServer:
        folder = tmp_path / f"nginx-{len(servers)}"
        folder.mkdir()
        server = NginxServer(folder, upstreams)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()
