"""Tortoise's engine for PostgreSQL, with every wait bounded. Its pool has neither bound by itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base.client import BaseDBAsyncClient, PoolConnectionWrapper

ACQUIRE_S = 2.0  # to get a connection, making one included; also to give one back, or else it is cut
COMMAND_S = 5.0  # for one statement, on both sides of the wire


class PostgresClient(AsyncpgDBClient):
    """A pool of connections; Tortoise's queries and our own statements share it."""

    def acquire_connection(self) -> PoolConnectionWrapper[asyncpg.Connection]:
        """A connection for one statement or a few, as an async context manager.

        Raises: TimeoutError after ACQUIRE_S; whatever asyncpg raises on connecting.
        """
        return _BoundedConnection(self, self._pool_init_lock)

    @asynccontextmanager
    async def transactional(self) -> AsyncIterator[BaseDBAsyncClient]:
        """A transaction that gives its connection back whatever happens; Tortoise's own does not if BEGIN fails."""
        async with self.acquire_connection() as connection, connection.transaction():
            transaction = TransactionWrapper(self)
            transaction._connection = connection
            yield transaction


class _BoundedConnection(PoolConnectionWrapper[asyncpg.Connection]):
    async def __aenter__(self) -> asyncpg.Connection:
        await self.ensure_connection()
        # asyncpg takes this time limit for `release` too, where a cancelled statement may hang on a silent server
        connection: asyncpg.Connection = await self.client._pool.acquire(timeout=ACQUIRE_S)
        self.connection = connection
        return connection


def pool_options(size: int) -> dict[str, Any]:
    """What the pool and the server are told, so that neither waits longer than we do."""
    return {
        "minsize": 1,
        "maxsize": size,
        "timeout": ACQUIRE_S,
        "command_timeout": COMMAND_S,
        "application_name": "chat-gateway",
        "reset": _leave_as_it_is,
        "server_settings": {
            "statement_timeout": str(round(COMMAND_S * 1000)),
            # a process that stops inside a transaction must not hold a chat's lock for longer
            "idle_in_transaction_session_timeout": str(round(COMMAND_S * 1000)),
        },
    }


async def _leave_as_it_is(connection: object) -> None:
    """We change no session state, so there is none to reset: that statement was most of the cost of a short read.

    An open transaction is rolled back by asyncpg all the same.
    """


client_class = PostgresClient  # Tortoise looks for this name in an engine's module
