"""Errors of a load test that cannot start, and unreadable histories."""

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.e2e.system import System
from tests.loadtests.headless import LOCUSTFILE, ROOT
from tests.support.servers import free_port


def _python(*words: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, which importing Locust patches."""
    environ = {**os.environ, "NO_PROXY": "*"}
    return subprocess.run([sys.executable, *words], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=300)


def _locust(url: str, *options: str) -> subprocess.CompletedProcess[str]:
    words = ("--headless", "--host", url, "--users", "2", "--run-time", "1s", *options)
    return _python("-m", "locust", "--locustfile", str(LOCUSTFILE), *words)


def test_unreachable_target_gives_clear_error(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    ended = _locust(url, "--accounts-file", str(tmp_path / "accounts.json"))
    assert ended.returncode != 0
    assert f"The load test cannot begin: POST {url}/register" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_accounts_unknown_to_target_give_error_with_their_file(system: System, tmp_path: Path) -> None:
    file = tmp_path / "accounts.json"
    gone = {"id": 1, "login": "load-gone", "password": "of an earlier database", "token": "", "expires_at": 0.0}
    file.write_bytes(orjson.dumps({system.url: [gone] * 9}))
    ended = _locust(system.url, "--accounts-file", str(file))
    assert ended.returncode != 0
    assert f"the target does not know accounts of {file}: delete it" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("option", [("--pace", "0"), ("--room-size", "0"), ("--room-size", "5000")], ids=" ".join)
def test_option_out_of_range_is_rejected(option: tuple[str, str]) -> None:
    ended = _locust("http://127.0.0.1:1", *option)
    assert ended.returncode == 2
    assert f"argument {option[0]}: invalid" in ended.stderr


def test_unreadable_history_counts_as_empty() -> None:
    script = f"""
import httpx
from loadtests.coordinator import _history
from loadtests.participants import Kind, Seat
with httpx.Client(base_url="http://127.0.0.1:{free_port()}") as http:
    print(_history(http, Seat(Kind.ROOM, "ann", "secret", "token", 1), 0, 10))
"""
    ended = _python("-c", script)
    assert ended.stdout == "{}\n", ended.stderr
