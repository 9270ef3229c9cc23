"""The parts run alone: `gateway`, `auth` and `migrate`, and what they say when they cannot."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from gateway.up.ports import free_port
from tests.servers import wait_until

ROOT = Path(__file__).parents[2]


def _environ(**settings: object) -> dict[str, str]:
    words = {name: str(value) for name, value in settings.items()}
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "APP_ENV": "development", **words}


def _run(folder: Path, *command: str, **settings: object) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-m", "gateway.cli", *command]
    return subprocess.run(line, cwd=folder, env=_environ(**settings), capture_output=True, text=True, timeout=60)


def test_auth_runs_alone_and_ends_cleanly(tmp_path: Path, redis_url: str, database_url: str) -> None:
    port, metrics_port = free_port(), free_port()
    settings = {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "AUTH_PORT": port, "APP_HOST": "127.0.0.1"}
    settings |= {"METRICS_PORT": metrics_port}
    assert _run(tmp_path, "migrate", **settings).returncode == 0
    line = [sys.executable, "-m", "gateway.cli", "auth"]
    with subprocess.Popen(line, cwd=tmp_path, env=_environ(**settings)) as auth:
        try:

            def has_keys() -> bool:
                assert auth.poll() is None
                try:
                    return bool(httpx.get(f"http://127.0.0.1:{port}/.well-known/jwks.json").json()["keys"])
                except httpx.TransportError:
                    return False

            wait_until(has_keys, "it serves")
            assert httpx.get(f"http://127.0.0.1:{port}/livez").json() == {"status": "alive"}
            assert _run(tmp_path, "healthcheck", "auth", **settings).returncode == 0
            url = f"http://127.0.0.1:{port}"
            assert httpx.post(f"{url}/login", json={"login": "nobody", "password": "no password"}).status_code == 401
            assert httpx.get(f"{url}/metrics").status_code == 404  # it has a port of its own
            metrics = httpx.get(f"http://127.0.0.1:{metrics_port}/metrics").text
            for line in (
                'chat_gateway_auth_logins_total{outcome="wrong"} 1.0',
                "chat_gateway_auth_hash_seconds_count 1.0",
                "chat_gateway_auth_hashing 0.0",
            ):
                assert line in metrics.splitlines()
            assert "chat_gateway_database_wait_seconds_count" in metrics
            assert "process_open_fds" in metrics
            (old,) = httpx.get(f"{url}/.well-known/jwks.json").json()["keys"]
            new = _run(tmp_path, "rotate-key", **settings)
            assert new.returncode == 0, new.stderr

            def has_both() -> bool:
                kids = [key["kid"] for key in httpx.get(f"{url}/.well-known/jwks.json").json()["keys"]]
                return sorted(kids) == sorted([old["kid"], new.stdout.strip()])

            wait_until(has_both, "the new key is public")
            auth.send_signal(signal.SIGTERM)
            assert auth.wait(10) == 0
        finally:
            auth.kill()


@pytest.mark.parametrize("command", ["gateway", "auth"])
def test_without_redis_it_says_which_setting_is_missing(command: str, tmp_path: Path) -> None:
    run = _run(tmp_path, command)
    assert run.returncode == 2
    assert run.stderr == "chat-gateway: REDIS_URL is not set; only `up` starts a Redis of its own.\n"


@pytest.mark.parametrize("command", ["gateway", "auth", "migrate"])
def test_a_database_that_is_not_there_is_a_sentence_without_a_password(command: str, tmp_path: Path) -> None:
    url = f"postgres://ann:hunter2@127.0.0.1:{free_port()}/x"
    ports = {"APP_PORT": free_port(), "AUTH_PORT": free_port(), "APP_HOST": "127.0.0.1"}
    run = _run(tmp_path, command, DATABASE_URL=url, REDIS_URL="redis://127.0.0.1:1", **ports)
    assert run.returncode == 1
    assert run.stderr.startswith("chat-gateway: The database of DATABASE_URL does not answer")
    assert "hunter2" not in run.stderr
    assert "Traceback" not in run.stderr


def test_production_refuses_the_default_password(tmp_path: Path) -> None:
    run = _run(tmp_path, "gateway", APP_ENV="production", POSTGRES_HOST="db", REDIS_URL="redis://localhost")
    assert run.returncode == 2
    assert "POSTGRES_PASSWORD" in run.stderr


@pytest.mark.parametrize("options", [["--replicas", "0"], ["--replicas", "x"], ["--replica-ports", "70000"]])
def test_wrong_options_are_refused(options: list[str], tmp_path: Path) -> None:
    assert _run(tmp_path, "up", *options).returncode == 2
