"""The two commands, as somebody meets them who has just cloned the project."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.up.ports import free_port
from tests.servers import wait_until
from tests.up.process_tree import descendants, is_alive

ROOT = Path(__file__).parents[2]
START_S = 90


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What a commit of the present sources would have, and nothing else."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        target = tmp_path / "clone" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).exists():
            shutil.copy2(ROOT / name, target)
    return tmp_path / "clone"


@pytest.fixture
def started() -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Runs to be killed at the end."""
    runs: list[subprocess.Popen[bytes]] = []
    yield runs
    for run in runs:
        for pid in [*descendants(run.pid), run.pid]:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        run.wait()


def _environment(**more: str) -> dict[str, str]:
    ours = ("VIRTUAL_ENV", "PYTHON", "APP_", "REDIS_", "DATABASE_", "POSTGRES_", "DATA_DIR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PIP_NO_CACHE_DIR": "1", **more}


@pytest.mark.timeout(200)
def test_an_empty_clone_serves_within_90_seconds_and_leaves_nothing(
    clone: Path, tmp_path: Path, started: list["subprocess.Popen[bytes]"]
) -> None:
    port, log = free_port(), tmp_path / "log"
    url = f"http://127.0.0.1:{port}"
    begun_at = time.monotonic()
    with log.open("wb") as output:
        command = [str(clone / "scripts/up"), "--replicas", "2", "--port", str(port)]
        up = subprocess.Popen(command, cwd=tmp_path, env=_environment(), stdout=output, stderr=output)
    started.append(up)

    def is_ready() -> bool:
        assert up.poll() is None, log.read_text()
        try:
            return httpx.get(f"{url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    wait_until(is_ready, "it is ready", START_S)
    assert time.monotonic() - begun_at < START_S
    nodes: set[str] = set()

    def both_seen() -> bool:
        nodes.add(httpx.get(f"{url}/livez").headers["X-Gateway-Node"])
        return len(nodes) == 2

    wait_until(both_seen, "both replicas have answered", 10)
    everybody = descendants(up.pid)
    up.send_signal(signal.SIGINT)
    assert up.wait(10) == 0
    assert [pid for pid in everybody if is_alive(pid)] == []
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("script", ["up", "test"])
def test_a_machine_without_python_is_told_so(script: str, tmp_path: Path) -> None:
    for name in ("dirname", "cat", "cksum", "ls", "sh"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    for name in set(re.findall(r"\bhas ([\w-]+)", (ROOT / "scripts" / "test").read_text())):
        (tmp_path / name).symlink_to(str(shutil.which("true")))
    command = [ROOT / "scripts" / script]
    run = subprocess.run(command, capture_output=True, text=True, env={"PATH": str(tmp_path)}, check=False)
    assert run.returncode == 1
    assert "needs Python 3.11 or newer" in run.stderr


def test_whoever_may_not_install_is_told_what_is_missing(tmp_path: Path) -> None:
    for name in ("dirname", "ls", "sh"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    command = [ROOT / "scripts/test"]
    run = subprocess.run(command, capture_output=True, text=True, env={"PATH": str(tmp_path)}, check=False)
    assert run.returncode == 1
    assert "redis-server" in run.stderr
    assert "chromium" in run.stderr
