"""The open database: every statement bounded in time, every vendor error translated.

Invariants kept here: a call answers, fails or raises StorageUnavailable within BOUND_S and a little; it works from any
task (Tortoise finds its connections through a context variable, which a request's task does not inherit); reads and
rare writes never use up the connections that commits need; CancelledError passes.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache
from typing import Any, Final, cast

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.context import TortoiseContext, _current_context

from storage.database.driver_errors import translated
from storage.database.epoch import epoch_expression
from storage.database.postgres import PostgresClient
from storage.database.sqlite import LockedSqliteClient
from storage.database.tortoise_config import serving_config
from storage.records import are_ids, is_id

BOUND_S = 6.0  # for one use of `session` or `transaction`, waiting for its turn included
READERS = 6  # uses of `session` at a time, on PostgreSQL those of `transaction` among them
COMMITTERS = 2  # connections that are left for commits; docs/message-log.md says why no more

_POSTGRES_NOW_MS: Final = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_SQLITE_NOW_MS: Final = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"

Row = dict[str, Any]


class Database:
    """The connections of one process to the store. Made by `open_database`."""

    epoch_sql: str  # the epoch in SQL, see `storage.database.epoch`

    def __init__(self, context: TortoiseContext, on_wait: Callable[[float], None]) -> None:
        self._context = context
        self._on_wait = on_wait
        self._client: PostgresClient | LockedSqliteClient = cast(Any, context.db())  # serving_config's engines
        self._turns = asyncio.Semaphore(READERS)
        # SQLite has one writer at a time. The file lock alone has no order, and would starve one of several.
        self._writing_turns = self._turns if self.postgres is not None else asyncio.Semaphore(1)

    @property
    def postgres(self) -> PostgresClient | None:
        """The pool, if this is PostgreSQL."""
        return self._client if isinstance(self._client, PostgresClient) else None

    @property
    def now_ms_sql(self) -> str:
        """The clock of the database in SQL, in Unix milliseconds; on SQLite that of the machine."""
        return _POSTGRES_NOW_MS if self.postgres is not None else _SQLITE_NOW_MS

    @property
    def sqlite_path(self) -> str | None:
        """The file, if this is SQLite."""
        return self._client.filename if isinstance(self._client, LockedSqliteClient) else None

    def session(self) -> AbstractAsyncContextManager[BaseDBAsyncClient]:
        """Inside, models and the yielded client read from this database, one statement at a time.

        Raises: StorageUnavailable.
        """
        return self._in_turn(self._turns)

    @asynccontextmanager
    async def _in_turn(self, turns: asyncio.Semaphore) -> AsyncIterator[BaseDBAsyncClient]:
        entered = _current_context.set(self._context)
        try:
            async with asyncio.timeout(BOUND_S):
                started = time.perf_counter()
                try:
                    await turns.acquire()
                finally:
                    self._on_wait(time.perf_counter() - started)
                try:
                    yield self._client
                finally:
                    turns.release()
        except Exception as error:
            if (storage_error := translated(error)) is not None:
                raise storage_error from error
            raise
        finally:
            _current_context.reset(entered)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[BaseDBAsyncClient]:
        """Inside, everything that models and the yielded client do is one transaction. Every write is in one.

        Raises: StorageUnavailable, also when the outcome of the COMMIT is unknown.
        """
        async with self._in_turn(self._writing_turns), self._client.transactional() as client:
            chosen = self._context.connections.set(client.connection_name, client)
            try:
                yield client
            finally:
                self._context.connections.reset(chosen)

    async def fetch(self, sql: str, *values: object) -> list[Row]:
        """The rows of one reading statement, written with $1, $2 … for its values.

        Raises: StorageUnavailable.
        """
        async with self.session() as client:
            return await client.execute_query_dict(self.dialect(sql), list(values))

    async def write(self, sql: str, *values: object) -> list[Row]:
        """The rows that one writing statement returns; it is committed when this returns.

        Raises: StorageUnavailable.
        """
        if self.postgres is not None:  # a single statement is a transaction there, in one round trip
            return await self.fetch(sql, *values)
        async with self.transaction() as client:
            return await client.execute_query_dict(self.dialect(sql), list(values))

    def ids(self, values: Iterable[int]) -> object:
        """Many ids as one value of a statement, for the condition of `among`; invalid ids are left out."""
        ids = [value for value in values if is_id(value)]
        return ids if self.postgres is not None else json.dumps(ids)

    def among(self, placeholder: str) -> str:
        """The condition that a column is one of the `ids` passed for this placeholder."""
        if self.postgres is not None:
            return f"= ANY ({placeholder}::bigint[])"
        return f"IN (SELECT value FROM json_each({placeholder}))"

    def texts(self, values: Iterable[str]) -> object:
        """Many texts as one value of a statement, for the condition of `among_texts`."""
        return list(values) if self.postgres is not None else json.dumps(list(values))

    def among_texts(self, placeholder: str) -> str:
        """The condition that a column is one of the `texts` passed for this placeholder."""
        if self.postgres is not None:
            return f"= ANY ({placeholder}::text[])"
        return f"IN (SELECT value FROM json_each({placeholder}))"

    def pairs(self, values: Iterable[tuple[int, int]]) -> list[object]:
        """Many pairs of ids as the values of a statement's first placeholders, for `pairs_table`."""
        pairs = [(a, b) for a, b in values if are_ids(a, b)]
        return [[a for a, _ in pairs], [b for _, b in pairs]] if self.postgres is not None else [json.dumps(pairs)]

    def triples(self, values: Sequence[tuple[int, int, int]]) -> list[object]:
        """Many triples of valid ids or seqs as the values of a statement: three arrays, or for SQLite one JSON text."""
        if self.postgres is None:
            return [json.dumps(values)]
        return [[value[place] for value in values] for place in range(3)]

    def pairs_table(self) -> str:
        """SQL of a table `p` with the columns `a` and `b`, which holds the `pairs`."""
        if self.postgres is not None:
            return "unnest($1::bigint[], $2::bigint[]) AS p (a, b)"
        return "(SELECT json_extract(value, '$[0]') AS a, json_extract(value, '$[1]') AS b FROM json_each($1)) AS p"

    def dialect(self, sql: str) -> str:
        """A statement with its placeholders $1, $2 … in this database's notation."""
        return sql if self.postgres is not None else _with_question_marks(sql)


@lru_cache(maxsize=256)
def _with_question_marks(sql: str) -> str:
    return re.sub(r"\$(\d)", r"?\1", sql)


@asynccontextmanager
async def open_database(url: str, on_wait: Callable[[float], None] = lambda _: None) -> AsyncIterator[Database]:
    """The database at `url` (`sqlite:///absolute/path`, `postgres://…` or `postgresql://…`), closed on leaving.

    `on_wait` is called with the seconds that each use of `session` waited for its turn.
    Raises: StorageUnavailable if it cannot be reached, ValueError if the URL is of another kind.
    """
    context = TortoiseContext()
    try:
        with context:  # the context variable is the caller's again before `yield`: `session` sets it where it is needed
            await context.init(serving_config(url, pool_size=READERS + COMMITTERS))
        database = Database(context, on_wait)
        # this connects, so that a wrong URL is an error now
        database.epoch_sql = await epoch_expression(database.fetch, is_postgres=database.postgres is not None)
        yield database
    finally:
        await context.close_connections()
