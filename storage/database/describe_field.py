"""An operation of migrations for a change of which the database need not know, such as another member of an enum."""

from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state import State


class DescribeField(ops.AlterField):
    """What the field says of itself is all that changes; for an AlterField, SQLite would make the whole table anew.

    The column must stay as it is: its type, its length, its default and whether it may be NULL.
    """

    async def database_forward(
        self, app_label: str, old_state: State, new_state: State, state_editor: BaseSchemaEditor | None = None
    ) -> None:
        """Leave the column alone."""

    async def database_backward(
        self, app_label: str, old_state: State, new_state: State, state_editor: BaseSchemaEditor | None = None
    ) -> None:
        """The same."""
