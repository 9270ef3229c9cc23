import secrets

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps


async def name_this_store(apps: StateApps, editor: BaseSchemaEditor) -> None:
    await editor.client.execute_query(
        f"INSERT INTO store_identity (store_id, restores) VALUES ('{secrets.token_hex(8)}', 0)"
    )


async def forget_this_store(apps: StateApps, editor: BaseSchemaEditor) -> None:
    await editor.client.execute_query("DELETE FROM store_identity")


class Migration(migrations.Migration):
    dependencies = [("storage", "0002_chat_log_commit")]

    operations = [ops.RunPython(name_this_store, forget_this_store)]
