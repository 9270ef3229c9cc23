"""`GET /api/v1/audit`: for the scope `admin` only, filtered, in pages."""

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from gateway.api.operator.audit import DEFAULT, AuditRoutes
from gateway.http.problems import HANDLERS
from httpapi.service_keys import ServiceKeys
from storage.audit_entry import AuditEntry
from storage.database.database import open_database
from storage.repositories.audit_records import AuditRecords
from tests.gateway.api.world import client_of, problem
from tests.support.migrated import make_store

ADMIN, OTHER = {"X-Service-Key": "key-of-admin"}, {"X-Service-Key": "key-of-other"}
NOW = int(time.time() * 1000)


@pytest.fixture
async def http(sqlite_url: str) -> AsyncIterator[httpx.AsyncClient]:
    await make_store(sqlite_url)
    async with open_database(sqlite_url) as database:
        records = AuditRecords(database, 3600)
        names = ("login", "user_banned")
        entries = [
            AuditEntry(f"u{n}", NOW + n, names[n % 2], "ok", f"user:{n % 3}", user_id=n % 4, chat_id=n % 5)
            for n in range(120)
        ]
        await records.add(entries)
        keys = ServiceKeys(("admin:key-of-admin:admin", "other:key-of-other:users+chats+messages+moderate"))
        app = Starlette(routes=AuditRoutes(keys, records).routes(), exception_handlers=HANDLERS)
        async with client_of(app) as http:
            yield http


async def page(http: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await http.get("/api/v1/audit", params=query, headers=ADMIN)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def test_only_the_scope_admin_reads(http: httpx.AsyncClient) -> None:
    problem(await http.get("/api/v1/audit"), 403, "forbidden")
    problem(await http.get("/api/v1/audit", headers=OTHER), 403, "forbidden")
    assert len((await page(http))["records"]) == DEFAULT


async def test_pages_lead_to_every_record_once(http: httpx.AsyncClient) -> None:
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 50}
    while True:
        document = await page(http, **query)
        seen += [record["id"] for record in document["records"]]
        if document["next_cursor"] is None:
            break
        query["cursor"] = document["next_cursor"]
    assert seen == [f"u{n}" for n in reversed(range(120))]


async def test_filters_select_records(http: httpx.AsyncClient) -> None:
    async def numbers(**query: Any) -> list[int]:
        return [int(record["id"][1:]) for record in (await page(http, limit=200, **query))["records"]][::-1]

    assert await numbers(event="login", actor="user:1") == [n for n in range(120) if n % 2 == 0 and n % 3 == 1]
    assert await numbers(target="user:3") == [n for n in range(120) if n % 4 == 3]
    assert await numbers(target="chat:2") == [n for n in range(120) if n % 5 == 2]
    times = [record["time"] for record in (await page(http, limit=200))["records"]][::-1]
    assert await numbers(since=times[100], until=times[110]) == list(range(100, 110))
    assert await numbers(actor="service:none") == []


@pytest.mark.parametrize(
    "query",
    [
        "event=nothing",
        "actor=user",
        "actor=user:1' OR 1=1",
        "actor=service:%00",
        "target=user:0",
        "target=user:9999999999999999999",
        "target=room:1",
        "since=yesterday",
        "since=2030-01-01T00:00:00",
        "until=" + "2" * 100,
        "limit=0",
        "limit=201",
        "cursor=1",
        "cursor=9999999999999999999-1",
        "event=login&event=logout",
        "user=1",
    ],
)
async def test_invalid_query_is_rejected(http: httpx.AsyncClient, query: str) -> None:
    problem(await http.get(f"/api/v1/audit?{query}", headers=ADMIN), 422, "invalid_field")
