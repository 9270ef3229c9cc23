"""Tortoise's engine for PostgreSQL, with every wait bounded. Its pool has neither bound by itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base.client import BaseDBAsyncClient, PoolConnectionWrapper

ACQUIRE_S = 2.0  # to get a connection, making one included; also to give one back, or else it is cut
COMMAND_S = 5.0  # for one statement, on both sides of the wire
CLOSE_S = 2.0  # to take leave of a server that may be silent


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

    async def _close(self) -> None:
        """Tortoise's own waits five times as long for a silent server, and a node that leaves has other waits too."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            try:
                async with asyncio.timeout(CLOSE_S):
                    await pool.close()
            except TimeoutError:
                pool.terminate()


class _BoundedConnection(PoolConnectionWrapper[asyncpg.Connection]):
    async def __aenter__(self) -> asyncpg.Connection:
        await self.ensure_connection()
        # asyncpg takes this time limit for `release` too, where a cancelled statement may hang on a silent server
        self._pool: Any = self.client._pool  # its stub takes nothing for a connection that it handed out
        connection: asyncpg.Connection = await self._pool.acquire(timeout=ACQUIRE_S)
        self.connection = connection
        return connection

    async def __aexit__(self, *_: object) -> None:
        """Give the connection back. One that does not come free in time is cut, which is no news for the caller.

        In a task of ours, which ends within ACQUIRE_S: asyncpg's own is orphaned where the caller is cancelled, and
        then what it meets is logged with a traceback.
        """
        releasing = asyncio.ensure_future(self._pool.release(self.connection))
        releasing.add_done_callback(_take_note)
        with suppress(Exception):
            await asyncio.shield(releasing)


def _take_note(releasing: "asyncio.Future[None]") -> None:
    if not releasing.cancelled():
        releasing.exception()


def pool_options(size: int) -> dict[str, Any]:
    """What the pool and the server are told, so that neither waits longer than we do."""
    return {
        "minsize": 0,  # asyncpg would restore a floor by itself, and log a traceback for each try that fails
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
