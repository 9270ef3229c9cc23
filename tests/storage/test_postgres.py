"""Connections are handed out again at once, and only those that are in good order."""

import asyncio
from contextlib import AsyncExitStack, suppress

import asyncpg
import pytest

from storage import postgres
from storage.database import COMMITTERS, READERS
from storage.postgres import PostgresClient
from tests.storage.nodes import Node

PID = "SELECT pg_backend_pid()"


@pytest.fixture
def client(postgres_node: Node) -> PostgresClient:
    assert postgres_node.database.postgres is not None
    return postgres_node.database.postgres


async def backend(client: PostgresClient) -> int:
    async with client.acquire_connection() as connection:
        return int(await connection.fetchval(PID))


async def test_a_connection_in_good_order_is_used_again(client: PostgresClient) -> None:
    assert len({await backend(client) for _ in range(20)}) == 1


async def test_a_connection_that_was_killed_is_not(client: PostgresClient) -> None:
    async with client.acquire_connection() as other:
        async with client.acquire_connection() as one:
            pid = await one.fetchval(PID)
        assert await other.fetchval("SELECT pg_terminate_backend($1)", pid)
        async with asyncio.timeout(5):
            with suppress(asyncpg.InterfaceError):  # which is what asyncpg has for a question to the dead
                while not one.is_closed():
                    await asyncio.sleep(0.01)
        assert await backend(client) != pid


async def test_a_connection_that_was_idle_for_too_long_is_not(
    client: PostgresClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = await backend(client)
    monkeypatch.setattr(postgres, "IDLE_S", -1)
    assert await backend(client) != pid


async def test_an_open_transaction_is_not_handed_on(client: PostgresClient) -> None:
    async with client.acquire_connection() as connection:
        await connection.execute("BEGIN")
        await connection.execute("CREATE TABLE not_committed (id int)")
    async with client.acquire_connection() as connection:
        assert not connection.is_in_transaction()
        assert await connection.fetchval("SELECT to_regclass('not_committed')") is None


async def test_a_statement_that_was_cancelled_does_not_answer_the_next(client: PostgresClient) -> None:
    async def slow() -> None:
        async with client.acquire_connection() as connection:
            await connection.execute("SELECT pg_sleep(5)")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(slow(), 0.1)
    async with asyncio.timeout(2), client.acquire_connection() as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_whoever_waits_for_a_connection_gets_the_first_that_is_given_back(client: PostgresClient) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(READERS + COMMITTERS - 1):
            await stack.enter_async_context(client.acquire_connection())
        async with AsyncExitStack() as last:
            await last.enter_async_context(client.acquire_connection())
            waiting = asyncio.create_task(backend(client))
            await asyncio.sleep(0.05)
            assert not waiting.done()
        async with asyncio.timeout(1):
            assert await waiting > 0


async def test_closing_takes_leave_of_idle_connections_too(
    postgres_node: Node, client: PostgresClient, postgres_store_url: str
) -> None:
    await backend(client)
    admin = await asyncpg.connect(postgres_store_url)
    try:
        await client.close()
        count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        async with asyncio.timeout(1):
            while await admin.fetchval(count):
                await asyncio.sleep(0.01)
    finally:
        await admin.close()


async def test_whoever_comes_while_it_closes_gets_no_connection_of_the_closed_pool(client: PostgresClient) -> None:
    async with client.acquire_connection() as one, client.acquire_connection() as other:
        closed = {await one.fetchval(PID), await other.fetchval(PID)}
    closing = asyncio.create_task(client.close())
    await asyncio.sleep(0)  # it has begun
    assert await backend(client) not in closed
    await closing
