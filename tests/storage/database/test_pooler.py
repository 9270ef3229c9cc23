"""A pooler in transaction mode: no session state is kept or needed."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from storage.database.database import open_database
from storage.database.migrate import migrate
from storage.database.postgres import PostgresClient
from storage.errors import StorageUnavailable
from storage.records import Committed
from tests.storage.nodes import Node, message, open_node
from tests.support.pgbouncer import TOLERANT, PgBouncer

BOUND = (
    "SELECT current_setting('statement_timeout') AS one, current_setting('idle_in_transaction_session_timeout') AS two"
)


@pytest.fixture
async def pooled(pooled_url: str, postgres_store_url: str) -> AsyncIterator[Node]:
    async with open_node(pooled_url) as node:
        yield node


def client_of(node: Node) -> PostgresClient:
    assert node.database.postgres is not None
    return node.database.postgres


@pytest.mark.parametrize("pgbouncer", ["", TOLERANT], ids=["rejects settings", "ignores settings"], indirect=True)
async def test_second_start_works_as_the_first(pooled_url: str) -> None:
    for number in range(3):
        await migrate(pooled_url)
        async with open_node(pooled_url) as node, open_node(pooled_url) as other:
            ann = await node.person(f"ann{number}")
            chat = await node.group(ann)
            for one in (node, other) * 5:
                await one.say(message(chat, ann))
            assert [event.seq for event in await other.history(chat)] == list(range(1, 11))


async def test_concurrent_reads_and_commits_share_few_connections(pooled: Node) -> None:
    ann = await pooled.person("ann")
    chats = [await pooled.group(ann) for _ in range(8)]

    async def talk(chat: int) -> None:
        for number in range(20):
            outcome = await pooled.submit(message(chat, ann))
            assert isinstance(outcome, Committed)
            assert (await pooled.log.positions([chat])).chats[chat].last_seq == number + 1
            assert len(await pooled.log.events_after(chat, 0, 100)) == number + 1

    async with asyncio.TaskGroup() as group:
        for chat in chats:
            group.create_task(talk(chat))


async def test_server_connections_keep_no_prepared_statements(pooled: Node) -> None:
    client = client_of(pooled)
    for number in range(20):
        await pooled.group(await pooled.person(f"ann{number}"))
        rows = await pooled.database.fetch("SELECT count(*) AS n FROM pg_prepared_statements WHERE name <> ''")
        assert rows == [{"n": 0}]
    assert client._connector.is_pooled


async def test_server_timeouts_apply_only_within_transactions(pooled: Node) -> None:
    async with pooled.database.transaction() as transaction:
        assert await transaction.execute_query_dict(BOUND) == [{"one": "5s", "two": "5s"}]
    for _ in range(8):
        assert await pooled.database.fetch(BOUND) == [{"one": "0", "two": "0"}]


async def test_slow_statement_is_cancelled_at_the_server(pooled: Node, postgres_url: str) -> None:
    with pytest.raises(StorageUnavailable):
        await pooled.database.fetch("SELECT pg_sleep(30) /* slow */")
    admin = await asyncpg.connect(postgres_url)
    try:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%/* slow */' AND state = 'active'"
        async with asyncio.timeout(5):
            while await admin.fetchval(f"{sql} AND pid <> pg_backend_pid()"):
                await asyncio.sleep(0.01)
    finally:
        await admin.close()


async def test_pooler_restart_is_a_temporary_outage(pooled: Node, pgbouncer: PgBouncer) -> None:
    ann = await pooled.person("ann")
    chat = await pooled.group(ann)
    await pooled.say(message(chat, ann))
    await asyncio.to_thread(pgbouncer.restart)
    async with asyncio.timeout(20):
        while not isinstance(await pooled.submit(message(chat, ann)), Committed):
            await asyncio.sleep(0.05)
    assert [event.seq for event in await pooled.history(chat)][:2] == [1, 2]


async def test_direct_connection_keeps_its_statements_and_its_settings(postgres_store_url: str) -> None:
    async with open_database(postgres_store_url) as database:
        assert database.postgres is not None
        assert not database.postgres._connector.is_pooled
        assert await database.fetch(BOUND) == [{"one": "5s", "two": "5s"}]
        rows = await database.fetch("SELECT count(*) AS n FROM pg_prepared_statements")
        assert rows[0]["n"] > 0
