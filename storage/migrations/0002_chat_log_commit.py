from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps

from storage.log.commit_postgres import create_function


async def drop_function(apps: StateApps, editor: BaseSchemaEditor) -> None:
    if editor.client.capabilities.dialect == "postgres":
        await editor.client.execute_script("DROP FUNCTION chat_log_commit")


class Migration(migrations.Migration):
    dependencies = [("storage", "0001_initial")]

    operations = [ops.RunPython(create_function, drop_function)]
