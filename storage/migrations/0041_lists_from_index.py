"""An index of memberships with all that a list by activity needs of each chat, so that it need not read their rows.

PostgreSQL reads them nevertheless in pages that have changed since the last vacuum. Read positions change pages all the
time, and by default a vacuum comes when a fifth of the rows has changed, which is in all pages.
"""

from tortoise import migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps


async def vacuum_often(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """After changes of a hundredth of the rows: a vacuum reads only the pages that have changed."""
    if editor.client.capabilities.dialect == "postgres":
        await editor.client.execute_script("ALTER TABLE memberships SET (autovacuum_vacuum_scale_factor = 0.01)")


async def vacuum_seldom(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """PostgreSQL's default."""
    if editor.client.capabilities.dialect == "postgres":
        await editor.client.execute_script("ALTER TABLE memberships RESET (autovacuum_vacuum_scale_factor)")


class Migration(migrations.Migration):
    dependencies = [("storage", "0040_outbox_commits")]

    operations = [
        ops.AddIndex(model_name="Membership", index=Index(fields=("user_id", "chat_id", "is_archived", "is_pinned"))),
        ops.RemoveIndex(model_name="Membership", fields=["user_id", "chat_id"]),
        ops.RunPython(vacuum_often, vacuum_seldom),
    ]
