"""Blocks that exist count in the direct chats that exist; those who may not write may take reactions back."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps

from storage.log.commit_postgres import create_function

_KEY = "CASE WHEN b.user_id < b.blocked_id THEN {0} || ':' || {1} ELSE {1} || ':' || {0} END".format(
    "CAST(b.user_id AS TEXT)", "CAST(b.blocked_id AS TEXT)"
)


async def note_blocks(apps: StateApps, editor: BaseSchemaEditor) -> None:
    true = "true" if editor.client.capabilities.dialect == "postgres" else "1"
    await editor.client.execute_script(
        f"UPDATE memberships SET is_blocked = {true} WHERE id IN (SELECT m.id FROM blocks b"
        f" JOIN chats c ON c.direct_key = {_KEY} JOIN memberships m ON m.chat_id = c.id AND m.user_id = b.blocked_id)"
    )


async def keep_notes(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """The column is dropped next."""


class Migration(migrations.Migration):
    dependencies = [("storage", "0032_sessions_of")]

    operations = [ops.RunPython(note_blocks, keep_notes), ops.RunPython(create_function, keep_notes)]
