"""The reason for our `PostgresClient.transactional`: Tortoise's transactions leak connections when cancelled."""

import asyncio

from tortoise.backends.base.client import TransactionContext

from storage.database.database import Database, open_database


def busy(database: Database) -> int:
    """Connections that are given out, or lost."""
    assert database.postgres is not None
    pool = database.postgres._pool
    return pool.get_size() - pool.get_idle_size()


async def begin_and_end(database: Database, transaction: TransactionContext) -> None:  # type: ignore[type-arg]
    async with database.session(), transaction:
        pass


async def test_tortoise_transaction_leaks_connection_on_cancel(
    postgres_store_url: str,
) -> None:
    async with open_database(postgres_store_url) as database:
        assert database.postgres is not None
        lost = 0
        for number in range(400):
            beginning = asyncio.create_task(begin_and_end(database, database.postgres._in_transaction()))
            await asyncio.sleep(number % 100 * 0.00003)  # from before BEGIN to after COMMIT
            beginning.cancel()
            await asyncio.gather(beginning, return_exceptions=True)
            lost = busy(database)
            if lost:
                break
        assert lost, "Tortoise gives it back now: ours is needed no more"
        await asyncio.sleep(0.2)
        assert busy(database) == lost, "and it stays lost"
        database.postgres._pool.terminate()
