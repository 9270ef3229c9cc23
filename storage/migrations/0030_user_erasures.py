"""Erasures of users, and a function by which a gateway clears the credentials of an erased one."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps

from storage.profile_records import Messages

# With the rights of the owner of the tables: it can do nothing to a user who is not erased.
FUNCTION = """
CREATE OR REPLACE FUNCTION clear_credentials(erased bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE users SET password_hash = '' WHERE id = erased AND erased_at IS NOT NULL;
    IF FOUND THEN
        DELETE FROM login_sessions WHERE user_id = erased;
        DELETE FROM password_resets WHERE user_id = erased;
        DELETE FROM second_factors WHERE user_id = erased;
        DELETE FROM recovery_codes WHERE user_id = erased;
    END IF;
END
$$;
"""


async def create_function(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """On SQLite every process may do this by itself."""
    if editor.client.capabilities.dialect == "postgres":
        await editor.client.execute_script(FUNCTION)


async def drop_function(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """Nobody else calls it."""
    if editor.client.capabilities.dialect == "postgres":
        await editor.client.execute_script("DROP FUNCTION IF EXISTS clear_credentials(bigint)")


class Migration(migrations.Migration):
    dependencies = [("storage", "0029_blocked_reactions")]

    operations = [
        ops.AddField(model_name="User", name="erased_at", field=fields.BigIntField(null=True)),
        ops.CreateModel(
            name="UserErasure",
            fields=[
                ("user_id", fields.BigIntField(generated=False, primary_key=True, unique=True, db_index=True)),
                ("messages", fields.CharEnumField(enum_type=Messages, max_length=8)),
                ("requested_at", fields.BigIntField(db_index=True)),
                ("identity_digest", fields.CharField(default="", db_index=True, max_length=64)),
                ("chat_cursor", fields.BigIntField(default=0)),
                ("erased_messages", fields.BigIntField(default=0)),
                ("claimed_by", fields.CharField(default="", max_length=80)),
                ("claimed_until", fields.BigIntField(default=0)),
                ("finished_at", fields.BigIntField(null=True)),
            ],
            options={
                "table": "user_erasures",
                "app": "storage",
                "pk_attr": "user_id",
                "table_description": "A user who was deleted, and how far the work has come: any node goes on where another stopped.",
            },
            bases=["Model"],
        ),
        ops.RunPython(create_function, drop_function),
    ]
