"""Tortoise's engine for SQLite, whose write transactions hold the file lock."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiosqlite
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.backends.sqlite.client import SqliteClient, SqliteTransactionWrapper

from storage.database.file_lock import FileLock
from storage.errors import StorageUnavailable

CLOSE_TURN_S = 1.0  # to wait for the file lock before a connection is closed, which then happens without it
BUSY_MS = 5_000  # SQLite itself waits only for foreign programs, which write without our file lock
ROWS_A_FETCH = 64  # that aiosqlite reads ahead of an iteration; its own default
PRAGMAS = {
    "journal_mode": "WAL",
    "synchronous": "FULL",
    "foreign_keys": "ON",
    "busy_timeout": BUSY_MS,
    "secure_delete": "ON",  # backups copy free pages too, where a private key was before it was encrypted
}


def write_lock(database_path: str) -> FileLock:
    """The lock that every writer of this database takes first, in every process."""
    return FileLock(Path(f"{database_path}.lock"))


class LockedSqliteClient(SqliteClient):
    """Two connections, each in its own thread: for reads and migrations, and for transactions; the log has a third.

    So no read waits for an fsync. A read sees everything that was committed before it began, by whichever connection.
    """

    def __init__(self, file_path: str, **options: Any) -> None:
        super().__init__(file_path, **options)
        self._write_lock = write_lock(file_path)
        self._writing: aiosqlite.Connection | None = None

    async def create_connection(self, with_db: bool) -> None:
        """Open the connection for reads, if it is not open.

        Raises: StorageUnavailable, with the file that cannot be used and the reason.
        """
        if self._connection is None:
            self._connection = await _opened(self.filename, self.pragmas)
            await self._post_connect()

    async def close(self) -> None:
        """Close under the file lock: if the last two connections close at once, SQLite keeps the `-wal` file."""
        async with AsyncExitStack() as stack:
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(CLOSE_TURN_S):
                    await stack.enter_async_context(self._write_lock.held_in_task())
            writing, self._writing = self._writing, None
            try:
                if writing is not None:
                    await writing.close()
            finally:
                await super().close()

    @asynccontextmanager
    async def transactional(self) -> AsyncIterator[BaseDBAsyncClient]:
        """A write transaction, one at a time.

        A plain BEGIN fails at its first write if another connection has written since.
        """
        # The connection executes in the order of the calls: a ROLLBACK runs after a BEGIN or COMMIT whose caller was
        # cancelled.
        async with self._write_lock.held_in_task():
            if self._writing is None:
                self._writing = await _opened(self.filename, self.pragmas | {"query_only": "OFF"})
            connection = self._writing
            client = SqliteTransactionWrapper(self)
            client._connection = connection
            try:
                await connection.execute("BEGIN IMMEDIATE")
                yield client
                await connection.commit()
            except BaseException:
                await connection.rollback()
                raise


async def _opened(path: str, pragmas: Mapping[str, Any]) -> aiosqlite.Connection:
    """Open the file. After a failure or cancellation, aiosqlite's thread has ended when this returns.

    aiosqlite itself stops the thread without waiting for it, and the thread then calls a loop that is closed.
    Raises: StorageUnavailable.
    """
    opened: list[sqlite3.Connection] = []

    def connect() -> sqlite3.Connection:
        opened.append(sqlite3.connect(path, isolation_level=None, check_same_thread=False))
        return opened[0]

    connection = aiosqlite.Connection(connect, ROWS_A_FETCH)
    try:
        await connection
        for name, value in pragmas.items():
            async with connection.execute(f"PRAGMA {name}={value}"):
                pass
    except BaseException as error:
        if connection._connection is not None:
            connection.stop()
        connection._thread.join()
        for one in opened:  # aiosqlite drops what it opened after a cancellation; closing twice is no error
            one.close()
        if isinstance(error, sqlite3.DatabaseError):
            raise StorageUnavailable(f"{path}: {error}") from error
        raise
    connection.row_factory = sqlite3.Row
    return connection


client_class = LockedSqliteClient  # Tortoise looks for this name in an engine's module
