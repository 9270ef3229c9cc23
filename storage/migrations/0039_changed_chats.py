"""By which transaction a chat's members, details or the beginning of its log changed last. No chat has, before.

A trigger keeps it, so that nodes of the version before do too during a rolling update. The commit of messages changes
none of these columns, and pays nothing.
"""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps

_COLUMNS = "members_version, version, first_seq"
_INDEX = "CREATE INDEX idx_chats_changed_in ON chats (changed_in) WHERE changed_in > 0"
_POSTGRES = f"""
CREATE FUNCTION chats_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed_in := pg_current_xact_id()::text::bigint;
    RETURN NEW;
END $$;
CREATE TRIGGER chats_changed BEFORE UPDATE OF {_COLUMNS} ON chats FOR EACH ROW EXECUTE FUNCTION chats_changed();
{_INDEX};
"""
# Transactions have no numbers there; they come one after the other, so that counting does.
_SQLITE = f"""
CREATE TRIGGER chats_changed AFTER UPDATE OF {_COLUMNS} ON chats BEGIN
    UPDATE chats SET changed_in = 1 + coalesce((SELECT max(changed_in) FROM chats WHERE changed_in > 0), 0) WHERE id = NEW.id;
END"""


async def create(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """Create the trigger and the index."""
    if editor.client.capabilities.dialect == "postgres":
        await editor.client.execute_script(_POSTGRES)
        return
    await editor.client.execute_query(_INDEX)
    await editor.client.execute_query(_SQLITE)


async def drop(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """Drop them."""
    if editor.client.capabilities.dialect == "postgres":
        await editor.client.execute_script("DROP FUNCTION chats_changed CASCADE; DROP INDEX idx_chats_changed_in")
        return
    await editor.client.execute_query("DROP TRIGGER chats_changed")
    await editor.client.execute_query("DROP INDEX idx_chats_changed_in")


class Migration(migrations.Migration):
    dependencies = [("storage", "0038_reactions_of_groups")]

    operations = [
        ops.AddField(model_name="ChatRoom", name="changed_in", field=fields.BigIntField(default=0, db_default=0)),
        ops.RunPython(create, drop),
    ]
