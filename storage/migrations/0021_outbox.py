"""The transactional outbox. It is empty: what is in the log already is not delivered."""

from tortoise import fields, indexes, migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps


async def keep_short(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """Rows come and go with each message, so that its dead rows are many times the living ones."""
    if editor.client.capabilities.dialect == "postgres":
        await editor.client.execute_script(
            "ALTER TABLE outbox SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0,"
            " autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0)"
        )


async def nothing(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """The table is dropped."""


class Migration(migrations.Migration):
    dependencies = [("storage", "0020_claimed_profiles")]

    operations = [
        ops.CreateModel(
            name="OutboxHead",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("endpoint", fields.CharField(max_length=40)),
                ("stream", fields.BigIntField()),
                ("from_seq", fields.BigIntField()),
                ("to_seq", fields.BigIntField()),
                ("has_extras", fields.BooleanField()),
                ("version", fields.BigIntField()),
                ("due_at", fields.BigIntField()),
                ("attempts", fields.IntField()),
                ("failing_since", fields.BigIntField(null=True)),
                ("error", fields.CharField(max_length=100)),
                ("created_at", fields.BigIntField()),
            ],
            options={
                "table": "outbox",
                "app": "storage",
                "unique_together": (("endpoint", "stream"),),
                "indexes": (indexes.Index(fields=["endpoint", "due_at", "id"]),),
                "pk_attr": "id",
                "table_description": "That events of a stream wait for an endpoint, until all are delivered.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="OutboxEvent",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("endpoint", fields.CharField(max_length=40)),
                ("stream", fields.BigIntField()),
                ("after_seq", fields.BigIntField()),
                ("log_seq", fields.BigIntField(null=True)),
                ("type", fields.CharField(max_length=24)),
                ("data", fields.TextField(unique=False)),
                ("created_at", fields.BigIntField()),
                ("dead_at", fields.BigIntField(null=True)),
                ("error", fields.CharField(max_length=100)),
            ],
            options={
                "table": "outbox_events",
                "app": "storage",
                "indexes": [
                    indexes.Index(fields=["endpoint", "stream", "id"]),
                    indexes.Index(fields=["dead_at", "id"]),
                ],
                "pk_attr": "id",
                "table_description": "An event for an endpoint that is not in the chat log, or is sent again, or a dead letter if `dead_at` is set.",
            },
            bases=["Model"],
        ),
        ops.RunPython(keep_short, nothing),
    ]
