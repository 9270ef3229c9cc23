"""Tortoise's engine for SQLite, with write transactions that take their turn at the file lock."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.backends.sqlite.client import SqliteClient, SqliteTransactionWrapper

from storage.errors import StorageUnavailable
from storage.file_lock import FileLock

BUSY_MS = 5_000  # only a foreign program that writes without our file lock makes SQLite wait
PRAGMAS = {"journal_mode": "WAL", "synchronous": "FULL", "foreign_keys": "ON", "busy_timeout": BUSY_MS}


def write_lock(database_path: str) -> FileLock:
    """The lock that every writer of this database takes first, in whatever process."""
    return FileLock(Path(f"{database_path}.lock"))


class LockedSqliteClient(SqliteClient):
    """One connection with a thread of its own, for reads and rare transactions; the log writes through another."""

    def __init__(self, file_path: str, **options: Any) -> None:
        super().__init__(file_path, **options)
        self._write_lock = write_lock(file_path)

    async def create_connection(self, with_db: bool) -> None:
        """Open the file; see Tortoise's own. What a failed or cancelled one began has ended when this returns.

        aiosqlite tells its thread to end then, but does not wait: the thread would answer a loop that is closed by now.
        Raises: StorageUnavailable, and says which file cannot be used and why.
        """
        if self._connection is not None:
            return
        connection = aiosqlite.connect(self.filename, isolation_level=None)
        try:
            await connection
            for name, value in self.pragmas.items():
                async with connection.execute(f"PRAGMA {name}={value}"):
                    pass
        except BaseException as error:
            if connection._connection is not None:
                connection.stop()
            connection._thread.join()
            if isinstance(error, sqlite3.DatabaseError):
                raise StorageUnavailable(f"{self.filename}: {error}") from error
            raise
        self._connection = connection
        connection.row_factory = sqlite3.Row
        await self._post_connect()

    @asynccontextmanager
    async def transactional(self) -> AsyncIterator[BaseDBAsyncClient]:
        """A write transaction. (A plain BEGIN that turns to writing fails at once if another has written since.)"""
        # The connection runs what it is told first in, first out: a ROLLBACK after a BEGIN or COMMIT whose caller was
        # cancelled still comes after it.
        async with self._write_lock.held_in_task(), self.acquire_connection() as connection:
            try:
                await connection.execute("BEGIN IMMEDIATE")
                yield SqliteTransactionWrapper(self)
                await connection.commit()
            except BaseException:
                await connection.rollback()
                raise


client_class = LockedSqliteClient  # Tortoise looks for this name in an engine's module
