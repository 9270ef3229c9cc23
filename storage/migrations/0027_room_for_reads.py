"""Room in the pages of memberships for new versions of their rows, which read positions make.

An update then stays within its page and touches no index. With full pages a third of them did not, and the indexes grew.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps


async def leave_room(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """In pages that are written from now on."""
    if editor.client.capabilities.dialect == "postgres":
        await editor.client.execute_script("ALTER TABLE memberships SET (fillfactor = 80)")


async def fill_pages(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """PostgreSQL's default."""
    if editor.client.capabilities.dialect == "postgres":
        await editor.client.execute_script("ALTER TABLE memberships RESET (fillfactor)")


class Migration(migrations.Migration):
    dependencies = [("storage", "0026_references")]

    operations = [ops.RunPython(leave_room, fill_pages)]
