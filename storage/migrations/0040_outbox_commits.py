"""What commits note for webhooks is one row a commit, and no longer one a chat."""

from tortoise import fields, indexes, migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps


async def keep_short(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """Rows live for a second, so that nearly all of the table are dead ones."""
    if editor.client.capabilities.dialect == "postgres":
        await editor.client.execute_script(
            "ALTER TABLE outbox_commits SET (autovacuum_vacuum_scale_factor = 0,"
            " autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0)"
        )


async def nothing(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """The table is dropped."""


class Migration(migrations.Migration):
    dependencies = [("storage", "0039_changed_chats")]

    operations = [
        ops.CreateModel(
            name="OutboxCommit",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("endpoint", fields.CharField(max_length=40)),
                ("seqs", fields.TextField(unique=False)),
                ("events", fields.IntField()),
                ("created_at", fields.BigIntField()),
            ],
            options={
                "table": "outbox_commits",
                "app": "storage",
                "indexes": [indexes.Index(fields=["endpoint", "id"])],
                "pk_attr": "id",
                "table_description": "What a group commit has stored for an endpoint, until it is folded into the rows of `outbox`.",
            },
            bases=["Model"],
        ),
        ops.RunPython(keep_short, nothing),
    ]
