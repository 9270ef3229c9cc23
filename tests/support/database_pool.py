"""Databases of the session's PostgreSQL that serve one test after the other: a new one costs a hundred times as much.

A test gets an empty database. `fill` exchanges it for a migrated one of an earlier test that has been emptied, by two
renames; a database whose schema, rights or settings a test has changed, or that grew large, is dropped instead.
"""

import asyncio
import secrets
import subprocess
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar
from urllib.parse import urlsplit

import asyncpg

from tests.support.servers import PostgresServer, find_binary

T = TypeVar("T")

KEPT_BYTES: Final = 4_000_000
"""Larger contents take longer to delete than a new database to make."""

_CATALOGS: Final = (
    *("pg_attrdef", "pg_attribute", "pg_cast", "pg_class", "pg_constraint", "pg_default_acl", "pg_event_trigger"),
    *("pg_extension", "pg_index", "pg_namespace", "pg_policy", "pg_proc", "pg_publication", "pg_rewrite"),
    *("pg_statistic_ext", "pg_trigger", "pg_type"),
)
_SCHEMA: Final = " UNION ALL ".join(
    [
        *(f"SELECT '{name}', count(*), max(xmin::text::bigint) FROM {name}" for name in _CATALOGS),
        "SELECT 'settings', count(*), 0 FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase"
        " WHERE d.datname = current_database()",
    ]
)
"""The rows of each catalog and the last transaction that changed one: differs after any change of a schema or right."""
_FILLED: Final = """SELECT format('%I.%I', n.nspname, c.relname) AS name, pg_table_size(c.oid) AS bytes
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname = 'public' AND pg_relation_size(c.oid) > 0"""

_pools: Final[dict[int, "DatabasePool"]] = {}
"""By the port of the server."""


def pool_of(database_url: str) -> "DatabasePool | None":
    """The pool that has handed out this URL, if one has."""
    port = urlsplit(database_url).port
    return None if port is None else _pools.get(port)


def new_store_id() -> str:
    """The statement that gives a store an id of its own."""
    return f"UPDATE store_identity SET store_id = '{secrets.token_hex(8)}'"


class DatabasePool:
    """The databases of one server. Its connections belong to a thread, as each test has an event loop of its own."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._numbers = 0
        self._empty: list[str] = []
        self._spare: list[str] = []
        self._schemas: dict[str, list[asyncpg.Record]] = {}
        self._contents = ""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="databases")
        self._runner = asyncio.Runner()
        self._admin: asyncpg.Connection[asyncpg.Record] | None = None
        _pools[server.port] = self

    def close(self) -> None:
        """Hand out nothing more."""
        del _pools[self._server.port]
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    def take(self) -> str:
        """The URL of an empty database."""
        return self._url(self._run(self._take))

    def fill(self, database_url: str) -> bool:
        """Put a migrated database in the place of an empty one, if there is one and nobody is connected."""
        return self._run(lambda: self._fill(_name(database_url)))

    def has_migrated(self, database_url: str) -> None:
        """Remember a newly migrated database, without any other content yet: later tests may have it too."""
        if not self._contents:
            self._contents = _dump_contents(database_url)
        self._run(lambda: self._remember(_name(database_url)))

    def give_back(self, database_url: str) -> None:
        """End all connections of a database of `take`, which has no longer this name."""
        name = _name(database_url)
        try:
            kept = self._run(lambda: self._give_back(name))
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            kept = False
        if not kept:
            self._schemas.pop(name, None)
            self._server.drop_database(database_url)

    def _run(self, work: Callable[[], Awaitable[T]]) -> T:
        async def run() -> T:
            return await work()

        return self._thread.submit(self._runner.run, run()).result()

    def _close(self) -> None:
        if self._admin is not None:
            self._admin.terminate()
        self._runner.close()

    def _url(self, name: str) -> str:
        return f"postgres://postgres@127.0.0.1:{self._server.port}/{name}"

    def _new_name(self) -> str:
        self._numbers += 1
        return f"pooled_{self._numbers}"

    async def _execute(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """Run a statement in the database `postgres`, over a connection that outlives the server's restarts."""
        if self._admin is not None and not self._admin.is_closed():
            try:
                return await self._admin.fetch(statement, *values)
            except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.AdminShutdownError, OSError):
                self._admin.terminate()
        self._admin = await asyncpg.connect(self._url("postgres"))
        return await self._admin.fetch(statement, *values)

    async def _rename(self, old: str, new: str) -> None:
        await self._execute(f"ALTER DATABASE {old} RENAME TO {new}")
        if old in self._schemas:
            self._schemas[new] = self._schemas.pop(old)

    async def _take(self) -> str:
        name = self._new_name()
        if self._empty:
            await self._rename(self._empty.pop(), name)
        else:
            await self._execute(f"CREATE DATABASE {name}")
        return name

    async def _fill(self, name: str) -> bool:
        if not self._spare or not await self._is_left(name):
            return False
        empty = self._new_name()
        await self._rename(name, empty)
        self._empty.append(empty)
        await self._rename(self._spare.pop(), name)
        return True

    async def _is_left(self, name: str) -> bool:
        """Whether no connection is open, or at least not for longer than one takes to end."""
        deadline = time.monotonic() + 0.5
        while await self._execute("SELECT 1 FROM pg_stat_activity WHERE datname = $1", name):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.001)
        return True

    async def _remember(self, name: str) -> None:
        connection = await asyncpg.connect(self._url(name))
        try:
            self._schemas[name] = await connection.fetch(_SCHEMA)
        finally:
            await connection.close()

    async def _give_back(self, name: str) -> bool:
        """Whether the database could be kept."""
        if name not in self._schemas:
            return False
        await self._execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        connection = await asyncpg.connect(self._url(name))
        try:
            is_kept = await self._empty_tables(connection, self._schemas[name])
        finally:
            await connection.close()
        if not is_kept or not await self._is_left(name):
            return False
        spare = self._new_name()
        await self._rename(name, spare)
        self._spare.append(spare)
        return True

    async def _empty_tables(
        self, connection: "asyncpg.Connection[asyncpg.Record]", schema: list[asyncpg.Record]
    ) -> bool:
        """Bring a database to the state after its migration, unless its schema has changed; whether this was done."""
        if await connection.fetch(_SCHEMA) != schema:
            return False
        filled = await connection.fetch(_FILLED)
        if sum(row["bytes"] for row in filled) > KEPT_BYTES:
            return False
        deletions = "".join(f"DELETE FROM {row['name']};\n" for row in filled)
        await connection.execute(
            f"SET session_replication_role = replica;\n{deletions}"  # no trigger, no foreign key
            f"{self._contents}\n{new_store_id().replace('store_identity', 'public.store_identity')};\n"
            "DELETE FROM pg_statistic WHERE starelid >= 16384;\n"
            "SELECT pg_stat_reset()"
        )
        await connection.execute(f"VACUUM {', '.join(row['name'] for row in filled)}")
        return True


def _name(database_url: str) -> str:
    return database_url.rpartition("/")[2]


def _dump_contents(database_url: str) -> str:
    """The statements that fill the tables and set the sequences of an emptied database."""
    pg_dump = find_binary("pg_dump", "/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin")
    command = [pg_dump, "--data-only", "--inserts", database_url]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return "\n".join(line for line in lines if not line.startswith("\\"))  # without psql's own commands
