"""KEYS_SECRET over real processes: the first encryption, its replacement, and its errors."""

import os
import subprocess
import sys
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from auth.tokens.key_ring import KeyRing
from storage.database.database import open_database
from storage.repositories.auth.keys import SigningKeys
from tests.support.auth_node import AuthNode
from tests.support.cluster import GatewayNode
from tests.support.dumps import dump
from tests.support.migrated import make_store
from tests.support.servers import free_port, wait_until

ROOT = Path(__file__).parents[2]
OLD, NEW = "old-u9Yq2mTz7cKp4vXw8bNr0sLd3fGh6jQa", "new-3fGh6jQau9Yq2mTz7cKp4vXw8bNr0sLd"
ANN = {"login": "ann", "password": "correct horse battery"}


def command(name: str, folder: Path, **settings: object) -> "subprocess.CompletedProcess[str]":
    """Run a command of `chat-gateway` to its end."""
    words = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "APP_ENV": "development", "PYTHONWARNINGS": "default"}
    environ = words | {key: str(value) for key, value in settings.items()}
    line = [sys.executable, "-m", "gateway.cli", name]
    return subprocess.run(line, cwd=folder, env=environ, capture_output=True, text=True, timeout=300)


@contextmanager
def running(folder: Path, *secrets: str, **settings: object) -> Iterator[list[AuthNode]]:
    """An auth process with each of these values of KEYS_SECRET, started at once."""
    nodes = [AuthNode(folder / f"auth-{each[:3]}-{n}", KEYS_SECRET=each, **settings) for n, each in enumerate(secrets)]
    with ExitStack() as stack:
        for node in nodes:
            stack.callback(node.stop)
            node._process = node._spawn()
        for node in nodes:
            wait_until(lambda node=node: node._process_is_alive() and node.is_up(), "auth is up")
        yield nodes


def logged_in(node: AuthNode) -> dict[str, Any]:
    """The tokens of a login."""
    answer = httpx.post(f"{node.url}/login", json=ANN | {"refresh": "body"}, timeout=30)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def renewed(node: AuthNode, tokens: dict[str, Any]) -> dict[str, Any]:
    """The tokens that replace these."""
    answer = httpx.post(f"{node.url}/api/v1/login/refresh", json={"refresh_token": tokens["refresh_token"]}, timeout=30)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def kids(node: AuthNode) -> list[str]:
    """The ids of the published keys."""
    return [key["kid"] for key in httpx.get(f"{node.url}/.well-known/jwks.json", timeout=30).json()["keys"]]


def status(gateway: GatewayNode, tokens: dict[str, Any]) -> int:
    """What a list of chats answers."""
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    return httpx.get(f"{gateway.url}/api/v1/chats", headers=headers, timeout=30).status_code


async def test_two_replicas_encrypt_plain_keys_at_first_start(
    tmp_path: Path, redis_url: str, database_url: str
) -> None:
    await make_store(database_url)
    async with open_database(database_url) as database:
        key = await KeyRing(SigningKeys(database), 1800).signing_key()
    private = str(key.as_dict(private=True)["d"])
    assert private.encode() in dump(database_url, tmp_path)

    settings = {"REDIS_URL": redis_url, "DATABASE_URL": database_url}
    with running(tmp_path, OLD, OLD, **settings) as (one, other), GatewayNode(tmp_path / "g", **settings) as gateway:
        httpx.post(f"{one.url}/register", json=ANN, timeout=30).raise_for_status()
        assert kids(one) == kids(other) == [key.kid]
        tokens = logged_in(one)
        assert status(gateway, tokens) == 200
        assert status(gateway, renewed(other, tokens)) == 200
        stolen = dump(database_url, tmp_path)
    assert private.encode() not in stolen
    assert urlsafe_b64decode(private + "=") not in stolen
    assert sum("signing_keys_encrypted" in node.log for node in (one, other)) >= 1
    assert OLD not in one.log + other.log


async def test_secret_is_replaced_while_processes_run(tmp_path: Path, redis_url: str, database_url: str) -> None:
    await make_store(database_url)
    settings = {"REDIS_URL": redis_url, "DATABASE_URL": database_url}
    with GatewayNode(tmp_path / "g", **settings) as gateway, running(tmp_path, OLD, **settings) as (old,):
        httpx.post(f"{old.url}/register", json=ANN, timeout=30).raise_for_status()
        tokens, kid = logged_in(old), kids(old)
        with running(tmp_path / "both", f"{NEW},{OLD}", f"{NEW},{OLD}", **settings) as (both, _):
            tokens = renewed(both, tokens)
            assert kids(both) == kid
            assert status(gateway, renewed(old, logged_in(both))) == 200, "the old process continues"
        with running(tmp_path, NEW, **settings) as (new,):
            tokens = renewed(new, tokens)
            assert status(gateway, tokens) == 200
            added = command("rotate-key", tmp_path, KEYS_SECRET=NEW, **settings)
            assert added.returncode == 0, added.stderr
            expected = {*kid, added.stdout.strip()}
            wait_until(lambda: set(kids(new)) == expected, "the new key is published", 15)
    refused = command("rotate-key", tmp_path, KEYS_SECRET=OLD, **settings)
    assert refused.returncode == 2
    assert refused.stderr.startswith("chat-gateway: KEYS_SECRET (or ")


@pytest.mark.parametrize("name", ["auth", "rotate-key"])
async def test_wrong_or_missing_secret_aborts_the_start(name: str, tmp_path: Path, sqlite_url: str) -> None:
    await make_store(sqlite_url)
    settings = {"REDIS_URL": "redis://127.0.0.1:1", "DATABASE_URL": sqlite_url, "AUTH_PORT": free_port()}
    assert command("rotate-key", tmp_path, KEYS_SECRET=OLD, **settings).returncode == 0
    before = dump(sqlite_url, tmp_path)
    for given in ({"KEYS_SECRET": NEW}, {}):
        refused = command(name, tmp_path, **given, **settings)
        assert refused.returncode == 2, refused.stderr
        assert "chat-gateway: KEYS_SECRET" in refused.stderr
        assert "Traceback" not in refused.stderr
        assert NEW not in refused.stderr
    assert not (tmp_path / ".data").exists()
    assert dump(sqlite_url, tmp_path) == before


async def test_missing_data_key_aborts_the_start(tmp_path: Path, sqlite_url: str) -> None:
    await make_store(sqlite_url)
    assert command("rotate-key", tmp_path, KEYS_SECRET=OLD, DATABASE_URL=sqlite_url).returncode == 0
    async with open_database(sqlite_url) as database:
        await database.write("DELETE FROM data_keys RETURNING id")
    refused = command("rotate-key", tmp_path, KEYS_SECRET=OLD, DATABASE_URL=sqlite_url)
    assert (refused.returncode, "KEYS_SECRET" in refused.stderr) == (2, True)


@pytest.mark.parametrize("name", ["auth", "rotate-key"])
def test_production_needs_the_secret_where_tokens_are_signed(name: str, tmp_path: Path) -> None:
    settings = {"APP_ENV": "production", "REDIS_URL": "redis://127.0.0.1:1", "PUBLIC_URL": "https://chat.example"}
    refused = command(name, tmp_path, **settings)
    assert refused.returncode == 2
    assert refused.stderr.startswith("chat-gateway: KEYS_SECRET or KEYS_SECRET_FILE must be set in production")
