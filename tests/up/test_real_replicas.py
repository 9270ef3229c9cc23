"""`up` with real gateways: ready only together, back within two seconds, gone without a trace."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.servers import wait_until
from tests.up.process_tree import is_alive, listening_sockets
from tests.up.run import Up

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    """A running system of two replicas."""
    run = Up(tmp_path, program=("-m", "gateway.cli"))
    try:
        yield run.start()
    finally:
        run.stop()


def _is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def _who_listens(up: Up, port: int) -> int:
    address = f"0100007F:{port:04X}"
    return next(pid for pid in up.descendants() if is_alive(pid) and address in listening_sockets(pid))


def test_everything_is_ready_as_soon_as_it_says_so(up: Up) -> None:
    assert all(_is_ready(port) for port in (up.port, *up.own_ports()))


@pytest.mark.alone  # a Python that starts is bound by the CPU
def test_killed_replicas_are_ready_again_within_two_seconds(up: Up) -> None:
    for _ in range(2):
        killed_at = time.monotonic()
        for port in up.own_ports():
            os.kill(_who_listens(up, port), signal.SIGKILL)
        wait_until(lambda: all(map(_is_ready, up.own_ports())), "both are ready again", 10)
        assert time.monotonic() - killed_at < 2


def test_nothing_is_left_but_the_database(up: Up, tmp_path: Path) -> None:
    assert up.end() == 0
    assert up.left_behind() == set()
    assert {path.name for path in tmp_path.rglob("*")} == {"up.log", ".data", "chat.db", "chat.db.lock"}
    assert "Traceback" not in up.output()


def test_a_second_run_finds_what_the_first_stored(tmp_path: Path) -> None:
    account = {"login": "ann", "password": "correct horse battery"}
    for expected in (201, 409):
        up = Up(tmp_path, program=("-m", "gateway.cli"))
        try:
            up.start()
            assert httpx.post(f"{up.url}/register", json=account).status_code == expected
            assert up.end() == 0
        finally:
            up.stop()
