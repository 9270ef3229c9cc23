"""Removes the index of memberships by user alone: another one begins with the user, too, and serves the same statements.

Each new membership wrote to both.
"""

from tortoise import fields, migrations
from tortoise.fields.base import OnDelete
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state import State

_INDEX = '"idx_memberships_user_id_6b1e99"'


class DropIndexOfField(ops.AlterField):
    """On SQLite an AlterField would make the whole table anew."""

    async def database_forward(
        self, app_label: str, old_state: State, new_state: State, state_editor: BaseSchemaEditor | None = None
    ) -> None:
        if state_editor is not None:
            await state_editor.client.execute_script(f"DROP INDEX {_INDEX}")

    async def database_backward(
        self, app_label: str, old_state: State, new_state: State, state_editor: BaseSchemaEditor | None = None
    ) -> None:
        if state_editor is not None:
            await state_editor.client.execute_script(f"CREATE INDEX {_INDEX} ON memberships (user_id)")


class Migration(migrations.Migration):
    dependencies = [("storage", "0041_lists_from_index")]

    operations = [
        DropIndexOfField(
            model_name="Membership",
            name="user",
            field=fields.ForeignKeyField(
                "storage.User",
                source_field="user_id",
                to_field="id",
                related_name=False,
                on_delete=OnDelete.CASCADE,
            ),
        ),
    ]
