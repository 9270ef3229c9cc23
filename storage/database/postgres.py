"""Tortoise's engine for PostgreSQL, with a time limit on every wait; its own pool has none.

A connection that was returned in good order is reused from here: asyncpg's own acquire and release, with a task and a
timeout for each, cost more than a short statement does. A connection in another state is released to asyncpg's pool.
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

from storage.database.postgres_connect import Connector

ACQUIRE_S = 2.0  # to get a connection, which includes connecting; also to release one, which is then aborted
COMMAND_S = 5.0  # for one statement, on the client and on the server
CLOSE_S = 2.0  # to close all connections, since the server may not respond
SESSION_SETTINGS = {
    "statement_timeout": str(round(COMMAND_S * 1000)),
    # a process that stops inside a transaction must not hold a chat's lock for longer
    "idle_in_transaction_session_timeout": str(round(COMMAND_S * 1000)),
    # to compile a list of a user of many chats took 20 times as long as to read it
    "jit": "off",
}
# Behind a pooler, whose server connections keep none of our settings. Outside transactions asyncpg cancels statements.
_TRANSACTION_SETTINGS = "; ".join(f"SET LOCAL {name} = {value}" for name, value in SESSION_SETTINGS.items())
IDLE_S = 300.0  # after which a connection is not reused: a firewall on the way may have dropped it


class PostgresClient(AsyncpgDBClient):
    """A pool of connections; Tortoise's queries and our own statements share it."""

    _pool: Any  # its stub does not accept the type of connection that `acquire` returns

    def __init__(self, *args: Any, connect: Connector, timeout: float, **options: Any) -> None:
        super().__init__(*args, connect=connect, timeout=timeout, **options)
        self._connector = connect
        self.acquire_s = timeout
        self._idle: list[tuple[asyncpg.Connection, float]] = []
        """Acquired connections that are not in use, each with the time of its return; the latest is last."""
        self._seekers = 0
        """Number of callers that wait for asyncpg's pool, which gives them only connections that are released to it."""

    def acquire_connection(self) -> PoolConnectionWrapper[asyncpg.Connection]:
        """A connection for one statement or a few, as an async context manager.

        Raises: TimeoutError after `acquire_s`; whatever asyncpg raises on connecting.
        """
        return _BoundedConnection(self, self._pool_init_lock)

    @asynccontextmanager
    async def transactional(self) -> AsyncIterator[BaseDBAsyncClient]:
        """A transaction that always returns its connection; Tortoise's own does not if BEGIN fails."""
        async with self.acquire_connection() as connection, connection.transaction():
            if self._connector.is_pooled:
                await connection.execute(_TRANSACTION_SETTINGS)
            transaction = TransactionWrapper(self)
            transaction._connection = connection
            yield transaction

    def take_idle(self) -> asyncpg.Connection | None:
        """The connection that was used last, or None if none can be reused."""
        while self._idle:
            connection, since = self._idle.pop()
            if time.monotonic() - since > IDLE_S:
                connection.terminate()
            if _is_in_order(connection):
                return connection
        return None

    async def seek(self, timeout_s: float) -> asyncpg.Connection:
        """A connection of asyncpg's pool. The pool applies the time limit to the later `release` as well, where a
        cancelled statement may hang on a server that does not respond.
        """
        self._seekers += 1
        try:
            connection: asyncpg.Connection = await self._pool.acquire(timeout=timeout_s)
        finally:
            self._seekers -= 1
        return connection

    def keep_idle(self, connection: asyncpg.Connection) -> bool:
        """Keep it for `take_idle`; False if a caller waits for asyncpg's pool."""
        if self._seekers:
            return False
        self._idle.append((connection, time.monotonic()))
        return True

    async def _close(self) -> None:
        """Close within CLOSE_S: Tortoise's own waits five times as long for a server that does not respond."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            idle, self._idle = self._idle, []  # before the first await: later callers use another pool
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
        self._connection = client.take_idle() or await client.seek(client.acquire_s)
        return self._connection

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        """Return the connection. One that cannot be released in time is aborted, without an error for the caller."""
        connection, client = self._connection, self._client
        is_reusable = exc_type is None and self._pool is client._pool and _is_in_order(connection)
        if not (is_reusable and client.keep_idle(connection)):
            with suppress(Exception):
                await asyncio.shield(_release(self._pool, connection))


def _is_in_order(connection: asyncpg.Connection) -> bool:
    try:
        return not (connection.is_closed() or connection.is_in_transaction())
    except asyncpg.InterfaceError:  # the connection was lost, and asyncpg has released it
        return False


def _release(pool: Any, connection: asyncpg.Connection) -> "asyncio.Future[None]":
    """Release in a task of ours, which ends within ACQUIRE_S. asyncpg's own task is orphaned if the caller is
    cancelled, and its error is then logged with a traceback.
    """
    releasing: asyncio.Future[None] = asyncio.ensure_future(pool.release(connection))
    releasing.add_done_callback(_take_note)
    return releasing


def _take_note(releasing: "asyncio.Future[None]") -> None:
    if not releasing.cancelled():
        releasing.exception()


def acquire_s(connect_timeout_s: float | None) -> float:
    """The time limit for a connection: ACQUIRE_S, or a higher `connect_timeout` of the URL, but at most COMMAND_S."""
    return min(max(ACQUIRE_S, connect_timeout_s or 0), COMMAND_S)


def pool_options(size: int, timeout_s: float) -> dict[str, Any]:
    """Options of asyncpg's pool: its size, and time limits no longer than ours."""
    return {
        "minsize": 0,  # asyncpg would reconnect up to a minimum by itself, and log a traceback for each failure
        "maxsize": size,
        "timeout": timeout_s,
        "command_timeout": COMMAND_S,
        "reset": _leave_as_it_is,
    }


async def _leave_as_it_is(connection: object) -> None:
    """Skip asyncpg's reset statement, which was most of the cost of a short read: we change no session state.

    asyncpg still rolls back an open transaction.
    """


client_class = PostgresClient  # Tortoise looks for this name in an engine's module
