"""A node and an auth process whose audit log tests read."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from httpapi.audit.events import Event
from tests.support.auth_node import AuthNode
from tests.support.cluster import Cluster, run_cluster
from tests.support.keys import KEYS_SECRET
from tests.support.waiting import eventually_async

BANK_KEY, ADMIN_KEY, SHOP_KEY = (f"planted-key-of-{name}-3f9a2c71e5" for name in ("bank", "admin", "shop"))
KEYS = f"bank:{BANK_KEY},admin:{ADMIN_KEY}:admin,shop:{SHOP_KEY}:messages"
BANK, ADMIN, SHOP = ({"X-Service-Key": key} for key in (BANK_KEY, ADMIN_KEY, SHOP_KEY))
PASSWORD = "planted-password-8812"


@dataclass
class World:
    """A node and an auth process on one database."""

    cluster: Cluster
    auth: AuthNode
    http: httpx.AsyncClient
    environ: dict[str, str]

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """A request to the node, without the cookies of earlier responses."""
        self.http.cookies.clear()
        return await self.http.request(method, self.cluster.nodes[0].url + path, json=body, headers=headers)

    async def ask_auth(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """A POST to auth, without the cookies of earlier responses."""
        self.http.cookies.clear()
        return await self.http.post(self.auth.url + path, json=body, headers=headers)

    async def records(self, **query: Any) -> list[dict[str, Any]]:
        """All records that match, oldest first."""
        found: list[dict[str, Any]] = []
        params = {"limit": 200, **query}
        while True:
            url = f"{self.cluster.nodes[0].url}/api/v1/audit"
            page = (await self.http.get(url, params=params, headers=ADMIN)).json()
            found += page["records"]
            if page["next_cursor"] is None:
                return found[::-1]
            params["cursor"] = page["next_cursor"]

    async def record(self, event: Event, **expected: Any) -> dict[str, Any]:
        """The record of this event with these values, once it is stored."""
        matching: list[dict[str, Any]] = []

        async def is_there() -> bool:
            matching[:] = [
                one for one in await self.records(event=event.value) if expected.items() <= (one | one["facts"]).items()
            ]
            return bool(matching)

        try:
            await eventually_async(is_there, 10)
        except TimeoutError:
            raise AssertionError(f"{event} {expected} is not in {await self.records(event=event.value)}") from None
        return matching[0]

    def command(self, *words: str) -> str:
        """The output of a command."""
        line = [sys.executable, "-m", "gateway.cli", *words]
        done = subprocess.run(line, env=os.environ | self.environ, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@asynccontextmanager
async def run_world(folder: Path, redis_url: str, database_url: str) -> AsyncIterator[World]:
    settings = {"SERVICE_KEYS": KEYS, "LOG_FORMAT": "json", "STAFF_CHATS": "service", "ALLOW_GUESTS": "false"}
    environ = {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "APP_ENV": "development"} | settings
    environ |= {"KEYS_SECRET": KEYS_SECRET}
    async with (
        run_cluster(folder / "nodes", redis_url, database_url, nodes=1, **settings) as cluster,
        httpx.AsyncClient(timeout=20) as http,
    ):
        with AuthNode(folder / "auth", **environ) as auth:
            yield World(cluster, auth, http, environ)
