"""What can be stored is bounded: the edits of a message, which the commit counts, and the size of all transcripts."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps

from storage.log.commit_postgres import create_function, keep_function


async def measure_transcripts(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """What nodes of the version before store from here on is not counted."""
    await editor.client.execute_script(
        "INSERT INTO transcript_sizes (shard, bytes) SELECT 0, coalesce(sum(length(payload) + 256), 0) FROM transcripts"
    )


async def forget_sizes(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """The table is dropped next."""


class Migration(migrations.Migration):
    dependencies = [("storage", "0015_audit_records")]

    operations = [
        ops.AddField(model_name="ChatLogEntry", name="edit_count", field=fields.IntField(db_default=0)),
        ops.RunPython(create_function, keep_function),
        ops.CreateModel(
            name="TranscriptSize",
            fields=[
                ("shard", fields.SmallIntField(primary_key=True, generated=False, unique=True, db_index=True)),
                ("bytes", fields.BigIntField()),
            ],
            options={
                "table": "transcript_sizes",
                "app": "storage",
                "pk_attr": "shard",
                "table_description": "A part of the size of all transcripts in bytes, which is the sum over all rows, a"
                " part may be negative.",
            },
            bases=["Model"],
        ),
        ops.RunPython(measure_transcripts, forget_sizes),
    ]
