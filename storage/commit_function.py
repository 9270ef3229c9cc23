"""Brings `chat_log_commit.sql` into a PostgreSQL database, as it is now: what each migration that changes it does."""

from pathlib import Path
from typing import Final

from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps

SQL: Final = Path(__file__).with_name("chat_log_commit.sql")


async def create_function(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """Make the function, or replace it. Nothing on SQLite, which has none."""
    if editor.client.capabilities.dialect == "postgres":
        await editor.client.execute_script(SQL.read_text(encoding="utf-8"))
