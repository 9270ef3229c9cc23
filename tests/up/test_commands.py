"""The separate commands `gateway`, `auth` and `migrate`, and their errors."""

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import pytest

from gateway.server.serve import bind
from gateway.up.ports import free_port
from tests.support.servers import wait_until

ROOT = Path(__file__).parents[2]


def _environ(**settings: object) -> dict[str, str]:
    words = {name: str(value) for name, value in settings.items()}
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "APP_ENV": "development", **words}


def _run(folder: Path, *command: str, **settings: object) -> "subprocess.CompletedProcess[str]":
    line = [sys.executable, "-m", "gateway.cli", *command]
    return subprocess.run(line, cwd=folder, env=_environ(**settings), capture_output=True, text=True, timeout=300)


def test_standalone_auth_runs_and_stops_cleanly(tmp_path: Path, redis_url: str, database_url: str) -> None:
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
def test_missing_redis_setting_is_named(command: str, tmp_path: Path) -> None:
    run = _run(tmp_path, command)
    assert run.returncode == 2
    assert run.stderr == "chat-gateway: REDIS_URL is not set; only `up` starts a Redis of its own.\n"


@pytest.mark.parametrize("command", ["gateway", "auth"])
def test_taken_metrics_port_leaves_no_socket_open(command: str, tmp_path: Path) -> None:
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        settings = {"APP_PORT": free_port(), "AUTH_PORT": free_port(), "APP_HOST": "127.0.0.1", "METRICS_PORT": port}
        run = _run(tmp_path, command, REDIS_URL="redis://127.0.0.1:1", PYTHONWARNINGS="default", **settings)
    assert run.returncode == 1
    assert run.stderr == f"chat-gateway: Port {port} on 127.0.0.1 cannot be used: Address already in use.\n"


@pytest.mark.parametrize("command", ["gateway", "auth", "migrate"])
def test_unreachable_database_error_hides_password(command: str, tmp_path: Path) -> None:
    url = f"postgres://ann:hunter2@127.0.0.1:{free_port()}/x"
    ports = {"APP_PORT": free_port(), "AUTH_PORT": free_port(), "APP_HOST": "127.0.0.1", "PYTHONWARNINGS": "default"}
    run = _run(tmp_path, command, DATABASE_URL=url, REDIS_URL="redis://127.0.0.1:1", **ports)
    assert run.returncode == 1
    assert run.stderr.startswith("chat-gateway: The database of DATABASE_URL does not answer")
    assert "hunter2" not in run.stderr
    assert "Traceback" not in run.stderr
    assert "ResourceWarning" not in run.stderr


def test_production_rejects_default_password(tmp_path: Path) -> None:
    run = _run(tmp_path, "gateway", APP_ENV="production", POSTGRES_HOST="db", REDIS_URL="redis://localhost")
    assert run.returncode == 2
    assert "POSTGRES_PASSWORD" in run.stderr


@pytest.mark.parametrize("command", ["gateway", "auth"])
def test_production_needs_a_public_url(command: str, tmp_path: Path) -> None:
    settings = {"APP_ENV": "production", "REDIS_URL": "redis://127.0.0.1:1"}
    run = _run(tmp_path, command, **settings)
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert run.stderr.startswith("chat-gateway: PUBLIC_URL or ALLOWED_ORIGINS must be set in production")


def test_production_up_needs_a_public_url(tmp_path: Path) -> None:
    run = _run(tmp_path, "up", APP_ENV="production", DRAIN_DELAY_S=0)
    assert run.returncode == 2
    assert "PUBLIC_URL or ALLOWED_ORIGINS" in run.stderr
    assert "REDIS_URL" not in run.stderr


def test_version_is_that_of_the_project(tmp_path: Path) -> None:
    run = _run(tmp_path, "--version")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (run.returncode, run.stdout) == (0, f"chat-gateway {project['version']}\n")


@pytest.mark.parametrize(("command", "status"), [("gateway", 2), ("auth", 2), ("migrate", 0)])
def test_misspelt_setting_is_named_at_startup(command: str, status: int, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("REDIS_URLL=redis://127.0.0.1:1\n")
    run = _run(tmp_path, command)
    assert run.returncode == status
    if command == "migrate":  # `up` and the services have said it
        assert "REDIS_URLL" not in run.stderr
    else:
        assert "misspelt_setting file=.env name=REDIS_URLL nearest=REDIS_URL" in run.stderr
        assert "REDIS_URLL in .env is not a setting; did you mean REDIS_URL?" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "usage", "error"),
    [
        (["up", "--prot", "1"], "chat-gateway up [-h]", "chat-gateway up: unknown option --prot; did you mean --port?"),
        (["gateway", "--with-aut"], "chat-gateway gateway [-h]", ""),  # an unambiguous abbreviation
        (["auth", "--hots=x"], "chat-gateway auth [-h]", "unknown option --hots; did you mean --host?"),
        (["migrate", "--xyz"], "chat-gateway migrate [-h]", "chat-gateway migrate: unknown option --xyz\n"),
        (["rotate-key", "now"], "chat-gateway rotate-key [-h]", "chat-gateway rotate-key: unknown argument now\n"),
        (["--verison"], "chat-gateway [-h]", "chat-gateway: unknown option --verison; did you mean --version?"),
        (["gatway"], "chat-gateway [-h]", "chat-gateway: unknown COMMAND gatway; did you mean gateway?"),
        ([], "chat-gateway [-h]", "a COMMAND is needed: up, gateway, auth, migrate, rotate-key, webhooks"),
    ],
)
def test_wrong_usage_shows_the_usage_of_its_command(
    arguments: list[str], usage: str, error: str, tmp_path: Path
) -> None:
    run = _run(tmp_path, *arguments)
    assert (run.returncode, run.stdout) == (2, "")
    if error:
        assert run.stderr.startswith(f"usage: {usage}")
        assert error in run.stderr


@pytest.mark.parametrize("options", [["--replicas", "0"], ["--replicas", "x"], ["--replica-ports", "70000"]])
def test_invalid_options_are_rejected(options: list[str], tmp_path: Path) -> None:
    assert _run(tmp_path, "up", *options).returncode == 2
