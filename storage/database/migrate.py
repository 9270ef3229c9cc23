"""Brings a database to the newest schema: safe to repeat, and safe in several processes at once (one does it)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.context import TortoiseContext
from tortoise.exceptions import OperationalError
from tortoise.migrations.executor import MigrationExecutor
from tortoise.migrations.schema_editor import AsyncpgSchemaEditor
from tortoise.transactions import in_transaction

from storage.database.database import Database
from storage.database.driver_errors import translated
from storage.database.sqlite import write_lock
from storage.database.tortoise_config import migrating_config
from storage.errors import PermissionDenied

MIGRATE_S = 120.0  # including the wait for another process
MIGRATIONS = Path(__file__).parents[1] / "migrations"
GRANTS = Path(__file__).with_name("grants.sql")
ADVISORY_LOCK = 0x63686174  # any number that no other program takes in the same database ("chat")


@dataclass(frozen=True, slots=True)
class SchemaState:
    """The migrations of a database, compared with those of this version, by name."""

    known: int
    """The number of migrations of this version."""
    missing: Sequence[str]
    newer: Sequence[str]
    """Those of a later version, which the database has already."""


_Apps = dict[str, dict[str, Any]]


async def migrate(database_url: str) -> None:
    """Apply every migration that is not applied yet.

    Raises: StorageUnavailable if the database cannot be reached, or another process migrates for more than MIGRATE_S;
    PermissionDenied.
    """
    try:
        async with asyncio.timeout(MIGRATE_S), TortoiseContext() as context:
            config = migrating_config(database_url)
            await context.init(config)
            client = context.db()
            if client.capabilities.dialect == "postgres":
                await _migrate_postgres(config["apps"])
            else:
                await _migrate_sqlite(client, config["apps"])
    except Exception as error:
        if (storage_error := translated(error)) is not None:
            raise storage_error from error
        raise


async def schema_state(database: Database) -> SchemaState | None:
    """What `migrate` would do; None if the user of the database may not read it.

    Raises: StorageUnavailable.
    """
    known = {path.stem for path in MIGRATIONS.glob("[0-9]*.py")}
    try:
        rows = await database.fetch("SELECT name FROM tortoise_migrations WHERE app = 'storage'")
    except PermissionDenied:
        return None
    except OperationalError:
        rows = []  # there is no such table before the first migration
    applied = {row["name"] for row in rows}
    return SchemaState(len(known), sorted(known - applied), sorted(applied - known))


async def _migrate_postgres(apps: _Apps) -> None:
    # One transaction for the lock, the changes and their record: a process that dies leaves no partial change.
    async with in_transaction() as transaction:
        await transaction.execute_query("SELECT pg_advisory_xact_lock($1)", [ADVISORY_LOCK])
        executor = MigrationExecutor(transaction, apps)
        # the executor reads this table before it creates it, and a failed query would abort our transaction
        await executor.recorder.ensure_schema(AsyncpgSchemaEditor(transaction, atomic=False))
        await executor.migrate()
        await _grant(transaction)


async def _grant(transaction: BaseDBAsyncClient) -> None:
    """Give the roles that serve their rights, where an operator has created both (docs/deploy.md)."""
    roles = "SELECT rolname FROM pg_roles WHERE rolname IN ('chat_gateway', 'chat_auth')"
    if len(await transaction.execute_query_dict(roles)) == 2:
        await transaction.execute_script(GRANTS.read_text(encoding="utf-8"))


async def _migrate_sqlite(client: BaseDBAsyncClient, apps: _Apps) -> None:
    path: str = client.filename  # type: ignore[attr-defined]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    async with write_lock(path).held_in_task():
        # connect here: the executor takes a failure for "no migration yet", and Tortoise then keeps its lock
        await client.create_connection(with_db=True)
        await MigrationExecutor(client, apps).migrate()
