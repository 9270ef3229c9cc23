"""Writes to SQLite in its own thread, so that no read of this process waits for an fsync."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import TypeVar

from storage.database.driver_errors import translated
from storage.database.sqlite import CLOSE_TURN_S, PRAGMAS, write_lock

TURN_S = 5.0  # to wait for the file lock

_T = TypeVar("_T")


class SqliteWriter:
    """One connection, which writes under the file lock: one writer at a time, over all processes."""

    def __init__(self, path: str, name: str) -> None:
        self._path = path
        self._lock = write_lock(path)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._connection: sqlite3.Connection | None = None

    async def write(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `work` in the thread as one transaction, and return its result; if it raises, nothing is written.

        Raises: StorageUnavailable, and whatever else `work` raises.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._write, work)
        except Exception as error:
            if (storage_error := translated(error)) is not None:
                raise storage_error from error
            raise

    async def close(self) -> None:
        """Close the connection after the current write."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown()

    def _write(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        connection = self._connect()
        with self._lock.held(TURN_S):
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                connection.rollback()
                raise
        return result

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = sqlite3.connect(self._path, isolation_level=None)
            self._connection.row_factory = sqlite3.Row
            for name, value in PRAGMAS.items():
                self._connection.execute(f"PRAGMA {name}={value}")
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is None:
            return
        with ExitStack() as stack:
            with suppress(TimeoutError, OSError):
                stack.enter_context(self._lock.held(CLOSE_TURN_S))  # as in LockedSqliteClient.close
            self._connection.close()
