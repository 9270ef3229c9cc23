"""What Tortoise is told about a database URL: one configuration to serve with, one to migrate with."""

from typing import Any

from tortoise.backends.base.config_generator import expand_db_url

from storage.postgres import pool_options
from storage.sqlite import PRAGMAS


def serving_config(url: str, pool_size: int) -> dict[str, Any]:
    """Our own engines: every wait bounded.

    Raises: ValueError if the URL is of another kind.
    """
    dialect, connection = _parsed(url)
    connection["engine"] = f"storage.{dialect}"
    connection["credentials"] |= PRAGMAS if dialect == "sqlite" else pool_options(pool_size)
    return _config(dialect, connection)


def migrating_config(url: str) -> dict[str, Any]:
    """On PostgreSQL Tortoise's own engine: building an index may take longer than any bound that suits a request.

    Raises: ValueError if the URL is of another kind.
    """
    dialect, connection = _parsed(url)
    if dialect == "sqlite":
        connection["engine"] = "storage.sqlite"
    return _config(dialect, connection)


def _parsed(url: str) -> tuple[str, dict[str, Any]]:
    scheme = url.partition("://")[0]
    if scheme not in ("sqlite", "postgres", "postgresql"):
        raise ValueError("a database URL starts with sqlite:///, postgres:// or postgresql://")
    connection: dict[str, Any] = expand_db_url(url)
    if (mode := connection["credentials"].pop("sslmode", None)) is not None:
        connection["credentials"]["ssl"] = mode  # libpq's name and asyncpg's for the same
    return ("sqlite" if scheme == "sqlite" else "postgres"), connection


def _config(dialect: str, connection: dict[str, Any]) -> dict[str, Any]:
    # The connection is named after its dialect because Tortoise caches statements by that name for the whole process.
    app = {"models": ["storage.models"], "default_connection": dialect, "migrations": "storage.migrations"}
    return {"connections": {dialect: connection}, "apps": {"storage": app}}
