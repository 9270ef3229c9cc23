"""The commit function, again: it keeps its plans now."""

from pathlib import Path

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps

SQL = Path(__file__).parents[1] / "chat_log_commit.sql"


async def replace_function(apps: StateApps, editor: BaseSchemaEditor) -> None:
    if editor.client.capabilities.dialect == "postgres":
        await editor.client.execute_script(SQL.read_text(encoding="utf-8"))


async def keep_function(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """The one before did the same, only slower."""


class Migration(migrations.Migration):
    dependencies = [("storage", "0006_transcripts")]

    operations = [ops.RunPython(replace_function, keep_function)]
