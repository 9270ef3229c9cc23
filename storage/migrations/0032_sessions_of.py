"""A function by which a gateway lists the logins of a user for an export, without their secrets."""

from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps

# With the rights of the owner of the table, which has secrets too.
FUNCTION = """
CREATE OR REPLACE FUNCTION sessions_of(owner bigint) RETURNS TABLE (
    id text, created_at bigint, rotated_at bigint, expires_at bigint, user_agent text
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path FROM CURRENT AS $$
    SELECT s.id::text, s.created_at, s.rotated_at, s.expires_at, s.user_agent::text
    FROM login_sessions s WHERE s.user_id = owner ORDER BY s.id
$$;
"""


async def create_function(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """On SQLite every process may read the table."""
    if editor.client.capabilities.dialect == "postgres":
        await editor.client.execute_script(FUNCTION)


async def drop_function(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """Nobody else calls it."""
    if editor.client.capabilities.dialect == "postgres":
        await editor.client.execute_script("DROP FUNCTION IF EXISTS sessions_of(bigint)")


class Migration(migrations.Migration):
    dependencies = [("storage", "0031_roles_and_rules")]

    operations = [ops.RunPython(create_function, drop_function)]
