"""The commit function, again: a reaction in a group looked for blocks among all members."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps

from storage.log.commit_postgres import create_function


async def keep_function(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """The one before reads more than it needs."""


class Migration(migrations.Migration):
    dependencies = [("storage", "0037_missing_indexes")]

    operations = [ops.RunPython(create_function, keep_function)]
