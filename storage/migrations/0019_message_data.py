"""Messages carry data of the application; the commit function stores them."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps

from storage.log.commit_postgres import create_function


async def keep_function(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """Nodes of the version before can call this one."""


class Migration(migrations.Migration):
    dependencies = [("storage", "0018_user_agents")]

    operations = [
        ops.AddField(model_name="ChatLogEntry", name="data", field=fields.TextField(null=True)),
        ops.RunPython(create_function, keep_function),
    ]
