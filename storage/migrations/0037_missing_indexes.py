"""Indexes for statements that read a whole table.

Those of `changed_at` and `created_by` were declared with their columns, but adding a column does not create its index.
"""

from tortoise import migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps

_COLUMNS = (("users", "changed_at"), ("chats", "created_by"))


async def create(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """Create those that the models have."""
    for table, column in _COLUMNS:
        await editor.client.execute_script(f"CREATE INDEX IF NOT EXISTS idx_{table}_{column} ON {table} ({column})")


async def drop(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """Drop them."""
    for table, column in _COLUMNS:
        await editor.client.execute_script(f"DROP INDEX IF EXISTS idx_{table}_{column}")


class Migration(migrations.Migration):
    dependencies = [("storage", "0036_retention")]

    operations = [
        ops.RunPython(create, drop),
        ops.AddIndex(model_name="OutsideIdentity", index=Index(fields=("subject",))),
    ]
