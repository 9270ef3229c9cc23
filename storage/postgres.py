"""Tortoise's engine for PostgreSQL, with every wait bounded. Its pool has neither bound by itself.

A connection that was given back in good order is handed out again from here: asyncpg's own way in and out of its pool,
with tasks and time limits of its own, costs more than a short statement does. What was not in good order goes that way.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, cast

import asyncpg
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base.client import BaseDBAsyncClient, PoolConnectionWrapper

ACQUIRE_S = 2.0  # to get a connection, making one included; also to give one back, or else it is cut
COMMAND_S = 5.0  # for one statement, on both sides of the wire
CLOSE_S = 2.0  # to take leave of a server that may be silent
IDLE_S = 300.0  # after which a connection is not trusted any more: something on the way may have forgotten it


class PostgresClient(AsyncpgDBClient):
    """A pool of connections; Tortoise's queries and our own statements share it."""

    _pool: Any  # its stub takes nothing for a connection that it handed out

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._idle: list[tuple[asyncpg.Connection, float]] = []
        """Acquired and not in use, in good order; each with when it was given back, the latest last."""
        self._seekers = 0
        """Who waits for asyncpg's pool, and hears of no connection but those that it gets back."""

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

    def take_idle(self) -> asyncpg.Connection | None:
        """The connection that was used last, if there is one that can be used again."""
        while self._idle:
            connection, since = self._idle.pop()
            if time.monotonic() - since > IDLE_S:
                connection.terminate()
            if _is_in_order(connection):
                return connection
        return None

    async def seek(self, timeout_s: float) -> asyncpg.Connection:
        """A connection of asyncpg's pool, which takes this time limit for `release` too: a cancelled statement may hang
        there on a silent server.
        """
        self._seekers += 1
        try:
            connection: asyncpg.Connection = await self._pool.acquire(timeout=timeout_s)
        finally:
            self._seekers -= 1
        return connection

    def keep_idle(self, connection: asyncpg.Connection) -> bool:
        """Keep it for `take_idle`; False if it is needed elsewhere."""
        if self._seekers:
            return False
        self._idle.append((connection, time.monotonic()))
        return True

    async def _close(self) -> None:
        """Tortoise's own waits five times as long for a silent server, and a node that leaves has other waits too."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            idle, self._idle = self._idle, []  # at once: whoever comes now has another pool
            try:
                async with asyncio.timeout(CLOSE_S):
                    for connection, _ in idle:
                        await pool.release(connection)
                    await pool.close()
            except TimeoutError:
                pool.terminate()


class _BoundedConnection(PoolConnectionWrapper[asyncpg.Connection]):
    async def __aenter__(self) -> asyncpg.Connection:
        await self.ensure_connection()
        client = self._client = cast(PostgresClient, self.client)
        self._pool = client._pool
        self._connection = client.take_idle() or await client.seek(ACQUIRE_S)
        return self._connection

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Give the connection back. One that does not come free in time is cut, which is no news for the caller."""
        connection, client = self._connection, self._client
        is_reusable = exc_type is None and self._pool is client._pool and _is_in_order(connection)
        if not (is_reusable and client.keep_idle(connection)):
            with suppress(Exception):
                await asyncio.shield(_release(self._pool, connection))


def _is_in_order(connection: asyncpg.Connection) -> bool:
    try:
        return not (connection.is_closed() or connection.is_in_transaction())
    except asyncpg.InterfaceError:  # it has died, and asyncpg has taken it back
        return False


def _release(pool: Any, connection: asyncpg.Connection) -> "asyncio.Future[None]":
    """In a task of ours, which ends within ACQUIRE_S: asyncpg's own is orphaned where the caller is cancelled, and then
    what it meets is logged with a traceback.
    """
    releasing: asyncio.Future[None] = asyncio.ensure_future(pool.release(connection))
    releasing.add_done_callback(_take_note)
    return releasing


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
