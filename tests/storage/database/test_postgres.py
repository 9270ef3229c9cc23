"""Connections are reused at once, but only healthy ones."""

import asyncio
from contextlib import AsyncExitStack, suppress

import asyncpg
import pytest

from storage.database import postgres
from storage.database.database import COMMITTERS, READERS
from storage.database.postgres import PostgresClient
from tests.storage.nodes import Node

PID = "SELECT pg_backend_pid()"


@pytest.fixture
def client(postgres_node: Node) -> PostgresClient:
    assert postgres_node.database.postgres is not None
    return postgres_node.database.postgres


async def backend(client: PostgresClient) -> int:
    async with client.acquire_connection() as connection:
        return int(await connection.fetchval(PID))


async def test_healthy_connection_is_reused(client: PostgresClient) -> None:
    assert len({await backend(client) for _ in range(20)}) == 1


async def test_killed_connection_is_not_reused(client: PostgresClient) -> None:
    async with client.acquire_connection() as other:
        async with client.acquire_connection() as one:
            pid = await one.fetchval(PID)
        assert await other.fetchval("SELECT pg_terminate_backend($1)", pid)
        async with asyncio.timeout(5):
            with suppress(asyncpg.InterfaceError):  # which is what asyncpg has for a question to the dead
                while not one.is_closed():
                    await asyncio.sleep(0.01)
        assert await backend(client) != pid


async def test_connection_idle_for_too_long_is_not_reused(
    client: PostgresClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = await backend(client)
    monkeypatch.setattr(postgres, "IDLE_S", -1)
    assert await backend(client) != pid


async def test_connection_with_open_transaction_is_not_reused(client: PostgresClient) -> None:
    async with client.acquire_connection() as connection:
        await connection.execute("BEGIN")
        await connection.execute("CREATE TABLE not_committed (id int)")
    async with client.acquire_connection() as connection:
        assert not connection.is_in_transaction()
        assert await connection.fetchval("SELECT to_regclass('not_committed')") is None


async def test_cancelled_statement_does_not_answer_the_next(client: PostgresClient) -> None:
    async def slow() -> None:
        async with client.acquire_connection() as connection:
            await connection.execute("SELECT pg_sleep(5)")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(slow(), 0.1)
    async with asyncio.timeout(6), client.acquire_connection() as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_waiting_caller_gets_first_released_connection(client: PostgresClient) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(READERS + COMMITTERS - 1):
            await stack.enter_async_context(client.acquire_connection())
        async with AsyncExitStack() as last:
            await last.enter_async_context(client.acquire_connection())
            waiting = asyncio.create_task(backend(client))
            await asyncio.sleep(0.05)
            assert not waiting.done()
        async with asyncio.timeout(6):
            assert await waiting > 0


async def test_close_ends_idle_connections_cleanly(
    postgres_node: Node, client: PostgresClient, postgres_store_url: str
) -> None:
    await backend(client)
    admin = await asyncpg.connect(postgres_store_url)
    try:
        await client.close()
        count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        async with asyncio.timeout(6):
            while await admin.fetchval(count):
                await asyncio.sleep(0.01)
    finally:
        await admin.close()


async def test_caller_during_close_gets_no_connection_of_closed_pool(client: PostgresClient) -> None:
    async with client.acquire_connection() as one, client.acquire_connection() as other:
        closed = {await one.fetchval(PID), await other.fetchval(PID)}
    closing = asyncio.create_task(client.close())
    await asyncio.sleep(0)  # it has begun
    assert await backend(client) not in closed
    await closing
