"""No statement that serves a client reads a large table, or more pages of a larger store than an index needs."""

import asyncio
import functools
import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

import storage.log
import storage.repositories
from benchmarks.growth.measuring import SMALL_STORE, Cost, Costs, growing, measure, scanning
from tests.support.migrated import make_store
from tests.support.servers import PostgresServer

ROWS = 30_000
TIMES = 4
BUSY_CHATS = 100
NOT_FOR_CLIENTS = {
    "AuditRecords.add",
    "AuditRecords.purge",
    "ChatRemovals.run",
    "ChatRetention",
    "DataKeys",
    "ErasedReactions",
    "ErasureWork",
    "EventRanges",
    "LoginSessions.encrypt_secrets",
    "PresentUsers.reap",
    "PresentUsers.renew",
    "PublicSigningKeys",
    "Revocations.purge",
    "SigningKeys",
    "SqliteCommit",
    "_SqliteInsert",
    "TranscriptRetention",
    "WorkClaims",
}
"""Work in the background, at the start or for operators, and of SQLite."""


def calls() -> Iterator[tuple[type[Any], str]]:
    """The classes of the store with their public coroutines, without protocols."""
    for package in (storage.repositories, storage.log):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for _, found in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
                if found.__module__ == module.name and not getattr(found, "_is_protocol", False):
                    for name, call in inspect.getmembers(found, inspect.iscoroutinefunction):
                        if inspect.getattr_static(found, name) is call and not name.startswith("_"):
                            yield found, name


def note_calls(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The calls that are made from now on, as they come."""
    made: set[str] = set()

    def noting(name: str, call: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        @functools.wraps(call)
        async def noted(*values: object, **options: object) -> object:
            made.add(name)
            return await call(*values, **options)

        return noted

    for owner, name in calls():
        monkeypatch.setattr(owner, name, noting(f"{owner.__name__}.{name}", getattr(owner, name)))
    return made


def measured(server: PostgresServer, rows: int) -> Costs:
    url = server.create_database()
    try:
        asyncio.run(make_store(url))
        return asyncio.run(measure(url, server.folder / "server.log", rows, BUSY_CHATS, SMALL_STORE))
    finally:
        server.drop_database(url)


def test_statements_of_clients_need_no_more_in_larger_store(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        made = note_calls(patch)
        small = measured(postgres_server, ROWS)
    all_calls = {f"{owner.__name__}.{name}" for owner, name in calls() if owner.__name__ not in NOT_FOR_CLIENTS}
    missing = sorted(all_calls - made - NOT_FOR_CLIENTS)
    assert missing == [], "they belong in benchmarks/growth/calls.py"
    assert len(small) > 150, "statements were recorded"
    large = measured(postgres_server, TIMES * ROWS)
    assert scanning(large) == []
    assert growing(small, large, TIMES) == []


def test_growth_is_told_from_deeper_index() -> None:
    def costs(buffers: int, scanned: int = 0) -> Costs:
        return {("call", "SELECT ?"): Cost(buffers, 0.1, {"users": scanned})}

    assert growing(costs(300), costs(400), 4) == []
    assert growing(costs(300), costs(1200), 4) == ["call: 300 → 1200 buffers: SELECT ?"]
    assert growing(costs(300), costs(600), 4) != []
    assert growing(costs(3), costs(10), 4) == []
    assert scanning(costs(3, 20)) == []
    assert scanning(costs(3, 4000)) == ["call: 4000 rows of users: SELECT ?"]
