"""What one user can store is bounded: the edits of a message are counted, and the commit function rejects further ones."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps

from storage.log.commit_postgres import create_function


async def keep_function(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """The one before needs no column that this one has."""


class Migration(migrations.Migration):
    dependencies = [("storage", "0011_login_sessions")]

    operations = [
        ops.AddField(model_name="ChatLogEntry", name="edit_count", field=fields.IntField(db_default=0)),
        ops.RunPython(create_function, keep_function),
    ]
