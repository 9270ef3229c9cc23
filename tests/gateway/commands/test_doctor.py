"""`chat-gateway doctor` on real servers, healthy and not."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from gateway.cli import main
from storage.database.database import open_database
from tests.support.cluster import run_cluster
from tests.support.migrated import make_store
from tests.support.servers import NginxServer, PostgresServer, RedisServer, free_port

MIGRATIONS = Path(__file__).parents[3] / "storage/migrations"
Report = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Report:
    """Runs doctor with these settings; returns its exit code and its lines, with single spaces."""

    def run(*words: str, **settings: str) -> tuple[int, list[str]]:
        monkeypatch.chdir(tmp_path)
        with monkeypatch.context() as patch:
            for name, value in {"APP_ENV": "development", **settings}.items():
                patch.setenv(name, value)
            status = main(["doctor", *words])
        return status, [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]

    return run


def _begins(lines: list[str], beginning: str) -> bool:
    return any(line.startswith(beginning) for line in lines)


@contextmanager
def _nginx(folder: Path, port: int, location: str | None = None) -> Iterator[str]:
    folder.mkdir()
    server = NginxServer(folder, [port], location)
    try:
        server.start()
        yield server.url
    finally:
        server.stop()


@contextmanager
def _without_rights(server: PostgresServer, url: str) -> Iterator[str]:
    """The URL for a role that may not read two tables: PostgreSQL says so in other words than "permission denied"."""
    name = url.rpartition("/")[2]
    for sql in (
        "CREATE ROLE doctor_reader LOGIN",
        "ALTER ROLE doctor_reader SET row_security = off",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO doctor_reader",
        "ALTER TABLE tortoise_migrations ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE outbox_positions ENABLE ROW LEVEL SECURITY",
    ):
        server.query(name, sql)
    yield url.replace("postgres@", "doctor_reader@")
    server.query(name, "DROP OWNED BY doctor_reader")
    server.query(name, "DROP ROLE doctor_reader")


async def test_running_system_is_described_and_its_faults_named(
    tmp_path: Path, report: Report, redis_server: RedisServer, postgres_url: str, postgres_server: PostgresServer
) -> None:
    settings = {"REDIS_URL": redis_server.url, "DATABASE_URL": postgres_url}
    async with run_cluster(tmp_path / "nodes", redis_server.url, postgres_url, nodes=1) as cluster:
        port = cluster.nodes[0].port
        with _nginx(tmp_path / "good", port) as url:
            status, lines = await asyncio.to_thread(report, "--url", url, **settings)
        for beginning in (
            "ok settings The settings are valid (APP_ENV=development).",
            "ok database PostgreSQL ",
            "WRONG commits PostgreSQL runs with fsync = off. Set fsync = on: ",  # as the session's server is started
            "ok clock The clock of PostgreSQL and the clock of this machine differ by less than 1 s.",
            "ok migrations All ",
            "ok redis Redis ",
            f"ok eviction {redis_server.url} evicts no keys.",
            "ok persistence ",
            "ok descriptors ulimit -n is ",
            "ok origins Pages of the host that a request names may connect",
            f"ok proxy ws{url.removeprefix('http')}/ws/doctor passes the upgrade",
            "ok origins Pages of another site are rejected (403).",
        ):
            assert _begins(lines, beginning), (beginning, lines)
        assert (status, sum(line.startswith("WRONG") for line in lines)) == (1, 1), lines

        with _nginx(tmp_path / "old", port, "location / { proxy_pass http://replicas; }") as url:
            _, lines = await asyncio.to_thread(report, "--url", url, **settings)
        assert _begins(lines, "WRONG proxy The proxy drops the upgrade: a plain request reaches the gateway (426).")
        with _nginx(tmp_path / "page", port, "location / { return 200 'welcome'; }") as url:
            _, lines = await asyncio.to_thread(report, "--url", url, **settings)
        assert _begins(lines, f"WRONG proxy ws{url.removeprefix('http')}/ws/doctor answers 200 to a handshake.")
        with _nginx(tmp_path / "down", free_port()) as url:
            _, lines = await asyncio.to_thread(report, "--url", url, **settings)
        assert _begins(lines, "WRONG proxy The proxy reaches no gateway: 502.")

    with _without_rights(postgres_server, postgres_url) as url:
        _, lines = await asyncio.to_thread(report, **settings | {"DATABASE_URL": url})
        assert _begins(lines, "warning migrations This user may not see which migrations were applied."), lines
        assert not _begins(lines, "warning webhooks")
        where, name = url.replace("doctor_reader@", ""), url.rpartition("/")[2]
        postgres_server.query(name, f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
        _, lines = await asyncio.to_thread(report, **settings | {"DATABASE_URL": url})
        assert _begins(lines, f"WRONG database {where} rejects this user: permission denied for database"), lines

    with Redis.from_url(redis_server.url) as redis:
        redis.config_set("maxmemory", "100mb")
        redis.config_set("maxmemory-policy", "allkeys-lru")
        redis.acl_setuser("narrow", enabled=True, passwords=["+narrow-password"], commands=["+@all", "-info"], keys="*")
    narrow = redis_server.url.replace("//", "//narrow:narrow-password@")
    _, lines = await asyncio.to_thread(report, **settings | {"REDIS_URL": f"{redis_server.url},{narrow}"})
    assert _begins(lines, f"WRONG eviction {redis_server.url} evicts keys (maxmemory-policy allkeys-lru).")
    assert "narrow-password" not in str(lines)
    assert _begins(lines, f"WRONG redis {redis_server.url} cannot be used: Redis grants the user of REDIS_URL too few")

    async with open_database(postgres_url) as database:
        await database.write("DELETE FROM tortoise_migrations WHERE name BETWEEN '0030' AND '0037'")
        await database.write(
            "INSERT INTO tortoise_migrations (app, name, applied_at) VALUES ('storage', '9999_later', now())"
        )
    _, lines = await asyncio.to_thread(report, **settings)
    assert _begins(lines, "WRONG migrations 7 of "), lines
    postgres_server.query(postgres_url.rpartition("/")[2], "UPDATE tortoise_migrations SET app = 'other'")
    _, lines = await asyncio.to_thread(report, **settings)
    count = len(list(MIGRATIONS.glob("0*.py")))
    assert _begins(lines, f"WRONG migrations {count} of {count} migrations are not applied, the first is 0001_")


async def test_healthy_sqlite_succeeds_and_newer_schema_warns(tmp_path: Path, report: Report, redis_url: str) -> None:
    url = f"sqlite://{tmp_path / 'x.db'}"
    await make_store(url)
    status, lines = await asyncio.to_thread(report, REDIS_URL=redis_url, DATABASE_URL=url)
    assert status == 0, lines
    assert _begins(lines, "ok commits Commits are synchronous (synchronous = FULL).")
    assert not _begins(lines, "warning webhooks")
    async with open_database(url) as database:
        await database.write("INSERT INTO outbox_positions (endpoint, after_id, gaps) VALUES ('former', 0, '')")
    hooks = '[{"url": "https://app.example.com/", "secret": "a secret of a webhook", "name": "app"}]'
    status, lines = await asyncio.to_thread(report, REDIS_URL=redis_url, DATABASE_URL=url, WEBHOOKS=hooks)
    assert _begins(lines, "warning webhooks former is not set up, and holds 0 events and 0 dead letters. Set it up"), (
        lines
    )
    assert sum(line.startswith("warning webhooks") for line in lines) == 1
    assert lines[-1] == "skipped proxy Not checked. Give --url with the public URL of a running system."
    async with open_database(url) as database:
        later = "INSERT INTO tortoise_migrations (app, name, applied_at) VALUES ('storage', '9999_later', '2030-01-01')"
        await database.write(later)
    status, lines = await asyncio.to_thread(report, REDIS_URL=redis_url, DATABASE_URL=url)
    assert status == 0
    assert _begins(lines, "warning migrations The database has 1 migrations of a newer version, such as 9999_later.")


async def test_sqlite_that_may_not_be_written_is_wrong(tmp_path: Path, redis_url: str) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    file = folder / "x.db"
    await make_store(f"sqlite://{file}")
    settings = {"APP_ENV": "development", "REDIS_URL": redis_url, "DATABASE_URL": f"sqlite://{file}"}
    # root may write everything, as long as it has these capabilities
    unprivileged = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    for path, mode in ((file, 0o444), (folder, 0o555), (folder, 0)):
        before = path.stat().st_mode
        path.chmod(mode)
        try:
            command = [*unprivileged, sys.executable, "-m", "gateway.cli", "doctor"]
            ended = await asyncio.to_thread(
                subprocess.run, command, env=os.environ | settings, capture_output=True, text=True
            )
        finally:
            path.chmod(before)
        lines = [" ".join(line.split()) for line in ended.stdout.splitlines()]
        assert _begins(lines, f"WRONG database This user may not write {path}."), (lines, ended.stderr)
        assert ended.returncode == 1


def test_unreachable_servers_are_wrong_and_nothing_is_created(tmp_path: Path, report: Report) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    status, lines = report(
        "--url",
        f"http://{nowhere}",
        REDIS_URL=f"redis://:hunter2@{nowhere}",
        DATABASE_URL=f"postgres://ann:hunter2@{nowhere}/x",
        AMQP_URL=f"amqp://ann:hunter2@{nowhere}/",
    )
    assert status == 1
    for beginning in (
        f"WRONG database postgres://{nowhere}/x does not answer: ",
        f"WRONG redis redis://{nowhere} cannot be used: it does not answer",
        f"WRONG queue RabbitMQ at {nowhere} cannot be used: ",
        f"WRONG proxy ws://{nowhere}/ws/doctor cannot be used: ",
    ):
        assert _begins(lines, beginning), (beginning, lines)
    assert "hunter2" not in str(lines)
    status, lines = report()
    assert (status, list(tmp_path.iterdir())) == (1, [])
    assert _begins(lines, "WRONG database There is no file ")
    assert _begins(lines, "warning redis REDIS_URL is not set.")


def test_settings_problems_are_lines_of_the_report(tmp_path: Path, report: Report) -> None:
    (tmp_path / ".env").write_text("REDIS_URLL=redis://127.0.0.1:1\n")
    status, lines = report(APP_PORT="none")
    assert status == 1
    assert lines == [
        "WRONG settings APP_PORT must be a whole number from 1 to 65535, not 'none'."
        " Correct the setting; nothing else was checked.",
        "warning settings REDIS_URLL in .env is not a setting; did you mean REDIS_URL?",
        "skipped proxy Not checked. Give --url with the public URL of a running system.",
    ]
    _, lines = report(APP_ENV="production")
    assert _begins(lines, "WRONG settings PUBLIC_URL or ALLOWED_ORIGINS must be set in production")
    assert _begins(lines, "warning settings KEYS_SECRET or KEYS_SECRET_FILE must be set in production")
    assert _begins(lines, "WRONG redis REDIS_URL is not set.")
