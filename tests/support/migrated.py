"""Migrated databases, copied from the first that a run of tests migrates: a migration takes longer than most tests.

What migrations do is the matter of tests/storage/database/test_migrate.py, and of every test that starts the program.
"""

import sqlite3
import subprocess
from contextlib import closing
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import asyncpg

from storage.database.migrate import migrate
from tests.support.database_pool import new_store_id, pool_of
from tests.support.servers import find_binary

_copies: Final[dict[str, bytes]] = {}
"""By the scheme of the URL: a whole SQLite file, or PostgreSQL's statements."""
_folder: Path | None = None
"""Where processes share them."""


async def make_store(database_url: str) -> None:
    """Bring an empty database to the newest schema, as a store with an id of its own; migrate one that is not empty.

    The first of each kind is migrated. The copies are made by statements that a pooler would carry over to others.
    """
    scheme = urlsplit(database_url).scheme
    is_empty, _, write = _SQLITE if scheme == "sqlite" else _POSTGRES
    if not await is_empty(database_url):
        await migrate(database_url)
        return
    pool = pool_of(database_url)
    if pool is not None and pool.fill(database_url):
        return
    if scheme in _copies:
        await write(database_url, _copies[scheme])
    else:
        await _make_first(database_url, scheme)
    if pool is not None:
        pool.has_migrated(database_url)


def share_copies(folder: Path) -> None:
    """Take part in the copies of the processes that call this with the same folder."""
    global _folder
    _folder = folder


async def _make_first(database_url: str, scheme: str) -> None:
    """The first of its kind in this process: a copy of another process's, if one has migrated or is migrating now."""
    _, read, write = _SQLITE if scheme == "sqlite" else _POSTGRES
    if _folder is None:
        await migrate(database_url)
        _copies[scheme] = read(database_url)
        return
    with (_folder / f"migrated.{scheme}").open("a+b") as shared:
        flock(shared, LOCK_EX)  # until it is closed, also by the end of the process
        shared.seek(0)
        if copy := shared.read():
            await write(database_url, copy)
        else:
            await migrate(database_url)
            copy = read(database_url)
            shared.write(copy)
        _copies[scheme] = copy


async def _is_empty_sqlite(database_url: str) -> bool:
    path = _path(database_url)
    return not path.exists() or path.stat().st_size == 0


def _read_sqlite(database_url: str) -> bytes:
    path = _path(database_url)
    assert not path.with_name(f"{path.name}-wal").exists(), "the file alone is not the whole database"
    return path.read_bytes()


async def _write_sqlite(database_url: str, copy: bytes) -> None:
    path = _path(database_url)
    path.write_bytes(copy)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(new_store_id())


def _path(database_url: str) -> Path:
    return Path(database_url.removeprefix("sqlite://"))


async def _is_empty_postgres(database_url: str) -> bool:
    connection = await asyncpg.connect(database_url)
    try:
        return await connection.fetchval("SELECT to_regclass('public.store_identity')") is None
    finally:
        await connection.close()


def _read_postgres(database_url: str) -> bytes:
    command = [find_binary("pg_dump", "/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin"), "--inserts", database_url]
    lines = subprocess.run(command, check=True, capture_output=True).stdout.splitlines()
    return b"\n".join(line for line in lines if not line.startswith(b"\\"))  # without psql's own commands


async def _write_postgres(database_url: str, copy: bytes) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(f"{copy.decode()}\nSET search_path TO public;\n{new_store_id()}")
    finally:
        await connection.close()


_SQLITE: Final = (_is_empty_sqlite, _read_sqlite, _write_sqlite)
_POSTGRES: Final = (_is_empty_postgres, _read_postgres, _write_postgres)
