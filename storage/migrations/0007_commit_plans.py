"""The commit function, again: it keeps its plans now."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps

from storage.log.commit_postgres import create_function


async def keep_function(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """The one before did the same, only slower."""


class Migration(migrations.Migration):
    dependencies = [("storage", "0006_transcripts")]

    operations = [ops.RunPython(create_function, keep_function)]
