"""Tortoise's configurations for a database URL: one to serve with, one to migrate with."""

from typing import Any

from storage.database.database_url import SqliteUrl, parse
from storage.database.postgres import SESSION_SETTINGS, acquire_s, pool_options
from storage.database.postgres_connect import Connector
from storage.database.sqlite import PRAGMAS


def serving_config(url: str, pool_size: int) -> dict[str, Any]:
    """Our own engines: every wait bounded.

    Raises: ValueError if the URL is of another kind.
    """
    parsed = parse(url)
    if isinstance(parsed, SqliteUrl):
        return _config("sqlite", "storage.database.sqlite", {"file_path": parsed.path, "query_only": "ON"} | PRAGMAS)
    options = pool_options(pool_size, acquire_s(parsed.connect_timeout_s))
    connector = Connector(parsed, SESSION_SETTINGS)
    return _config(
        "postgres", "storage.database.postgres", {"connect": connector, "database": parsed.database} | options
    )


def migrating_config(url: str) -> dict[str, Any]:
    """On PostgreSQL Tortoise's own engine: building an index may take longer than any bound that suits a request.

    Raises: ValueError if the URL is of another kind.
    """
    parsed = parse(url)
    if isinstance(parsed, SqliteUrl):
        return _config("sqlite", "storage.database.sqlite", {"file_path": parsed.path})
    connector = Connector(parsed, {})
    return _config("postgres", "tortoise.backends.asyncpg", {"connect": connector, "database": parsed.database})


def _config(dialect: str, engine: str, credentials: dict[str, Any]) -> dict[str, Any]:
    # The connection is named after its dialect because Tortoise caches statements by that name for the whole process.
    connection = {"engine": engine, "credentials": credentials}
    app = {
        "models": ["storage.models", "storage.message_models", "storage.auth_models", "storage.outbox_models"],
        "default_connection": dialect,
        "migrations": "storage.migrations",
    }
    return {"connections": {dialect: connection}, "apps": {"storage": app}}
