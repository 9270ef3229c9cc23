"""`up` with real gateways: ready together, restarted within two seconds, stopped without remains."""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.log_secrets import NOTED
from tests.support.machine_speed import slowness
from tests.support.migrated import make_store
from tests.support.servers import RedisServer, wait_until
from tests.up.process_tree import is_alive, listening_sockets
from tests.up.run import Up

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """A running system of two replicas on a migrated database."""
    run = Up(tmp_path, program=("-m", "gateway.cli"))
    _migrate(tmp_path)
    try:
        yield run.start()
    finally:
        run.stop()


def _migrate(folder: Path) -> None:
    """Put a copy of a migrated database where `up` has its own: most of a first start (see below) is the migration."""
    (folder / ".data").mkdir()
    asyncio.run(make_store(f"sqlite://{folder}/.data/chat.db"))


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def _who_listens(up: Up, port: int) -> int:
    address = f"0100007F:{port:04X}"
    return next(pid for pid in up.descendants() if is_alive(pid) and address in listening_sockets(pid))


def test_everything_is_ready_when_up_says_so(up: Up) -> None:
    assert all(_is_ready(port) for port in (up.port, *up.own_ports()))


@pytest.mark.alone  # a Python that starts is bound by the CPU
def test_killed_replicas_are_ready_again_within_two_seconds(up: Up) -> None:
    before = slowness()
    for _ in range(2):
        killed_at = time.monotonic()
        for port in up.own_ports():
            os.kill(_who_listens(up, port), signal.SIGKILL)
        wait_until(lambda: all(map(_is_ready, up.own_ports())), "both are ready again", 30)
        assert time.monotonic() - killed_at < 2 * max(before, slowness())


def test_requests_are_shown_in_the_terminal(up: Up) -> None:
    httpx.get(f"{up.url}/openapi.json?token=hunter2")
    wait_until(lambda: "request method=GET path=/openapi.json status=200 ms=" in up.output(), "the request is logged")
    assert "hunter2" not in up.output()


def test_only_database_remains_after_stop(up: Up, tmp_path: Path) -> None:
    assert up.end() == 0
    assert up.left_behind() == set()
    ours = {"up.log", NOTED}
    assert {path.name for path in tmp_path.rglob("*")} - ours == {".data", "chat.db", "chat.db.lock", "keys.secret"}
    assert "Traceback" not in up.output()


def test_second_run_finds_data_of_the_first(tmp_path: Path) -> None:
    account = {"login": "ann", "password": "correct horse battery"}
    for expected in (201, 409):
        up = Up(tmp_path, program=("-m", "gateway.cli"))
        try:
            up.start()
            assert httpx.post(f"{up.url}/register", json=account).status_code == expected
            assert up.end() == 0
        finally:
            up.stop()


def test_up_on_ipv6_address_serves_the_printed_urls(tmp_path: Path) -> None:
    run = Up(tmp_path, "--host", "::1", program=("-m", "gateway.cli"))
    _migrate(tmp_path)
    try:
        run.start()
        urls = re.findall(r"http://\S+:[0-9]+", run.output())
        assert urls
        assert all(url.startswith("http://[::1]:") for url in urls)
        for url in urls:
            assert httpx.get(f"{url}/livez", timeout=30).status_code == 200
        login = {"login": "ann", "password": "correct horse"}
        httpx.post(f"{urls[0]}/register", json=login).raise_for_status()
        token = httpx.post(f"{urls[0]}/login", json=login).json()["access_token"]
        link = httpx.get(f"{urls[0]}/echo_ws", headers={"Authorization": f"Bearer {token}"}).json()["url"]
        assert link.startswith(f"ws://[::1]:{run.port}/channels/echo?token=")
        assert run.end() == 0
    finally:
        run.stop()


def test_welcome_reports_unreachable_redis(tmp_path: Path) -> None:
    run = Up(tmp_path, program=("-m", "gateway.cli"), environ={"REDIS_URL": "redis://:hunter2@127.0.0.1:1/0"})
    _migrate(tmp_path)
    try:
        run.start()
        assert "NOT USABLE: it does not answer (REDIS_URL)" in run.output()
        assert "hunter2" not in run.output()
    finally:
        run.stop()


def test_welcome_reports_rejected_redis_password(tmp_path: Path, redis_server: RedisServer) -> None:
    url = redis_server.url.replace("redis://", "redis://nobody:hunter2@")
    run = Up(tmp_path, program=("-m", "gateway.cli"), environ={"REDIS_URL": url})
    _migrate(tmp_path)
    try:
        run.start()
        assert "NOT USABLE: Redis rejects the user or password of REDIS_URL (WRONGPASS)" in run.output()
        assert "hunter2" not in run.output()
    finally:
        run.stop()
