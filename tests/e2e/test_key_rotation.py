"""Signing keys: rotation by the operator's command, and removal after a leak."""

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from auth.tokens.key_cache import KEYS_MAX_AGE_S
from auth.tokens.key_ring import REREAD_S
from storage.database.database import open_database
from tests.support.cluster import GatewayNode, run_cluster
from tests.support.keys import KEYS_SECRET
from tests.support.servers import wait_until


def rotate(database_url: str) -> str:
    """The new key's id."""
    command = ["/usr/bin/env", f"DATABASE_URL={database_url}", "APP_ENV=development", f"KEYS_SECRET={KEYS_SECRET}"]
    command.append(sys.executable)
    ended = subprocess.run([*command, "-m", "gateway.cli", "rotate-key"], check=True, capture_output=True, text=True)
    return ended.stdout.strip()


def status(node: GatewayNode, headers: dict[str, str]) -> int:
    """What a list of chats answers."""
    return httpx.get(f"{node.url}/api/v1/chats", headers=headers, trust_env=False).status_code


@pytest.mark.full
async def test_rotation_keeps_tokens_and_removed_key_revokes_them(
    tmp_path: Path, redis_url: str, postgres_url: str
) -> None:
    async with run_cluster(tmp_path, redis_url, postgres_url, nodes=1) as cluster:
        node, ann = cluster.nodes[0], await cluster.user("ann")
        assert status(node, ann.headers) == 200
        kid = rotate(postgres_url)
        assert status(node, ann.headers) == 200
        async with open_database(postgres_url) as database:
            gone = await database.write(f"DELETE FROM signing_keys WHERE kid <> '{kid}' RETURNING kid")
        assert len(gone) == 1
        wait_until(lambda: status(node, ann.headers) == 401, "it is refused", KEYS_MAX_AGE_S + REREAD_S + 5)
        bob = await cluster.user("bob")
        wait_until(lambda: status(node, bob.headers) == 200, "the new key is known", KEYS_MAX_AGE_S)
