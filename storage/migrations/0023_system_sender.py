from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps

from storage.log.commit_postgres import create_function, keep_function


async def name_system(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """What others see as its name; `login_folded`, by which logins are unique and found, stays."""
    await editor.client.execute_query("UPDATE users SET login = 'system' WHERE id = 0")


async def rename_system(apps: StateApps, editor: BaseSchemaEditor) -> None:
    await editor.client.execute_query("UPDATE users SET login = 'queue:messages' WHERE id = 0")


class Migration(migrations.Migration):
    dependencies = [("storage", "0022_chat_activity")]

    operations = [ops.RunPython(name_system, rename_system), ops.RunPython(create_function, keep_function)]
