from tortoise import fields, migrations
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state import State
from tortoise.migrations.schema_generator.state_apps import StateApps


class WidenField(ops.AlterField):
    """SQLite does not check the length of a text; an AlterField would make the whole table anew."""

    async def database_forward(
        self, app_label: str, old_state: State, new_state: State, state_editor: BaseSchemaEditor | None = None
    ) -> None:
        if state_editor is not None and state_editor.client.capabilities.dialect == "postgres":
            await super().database_forward(app_label, old_state, new_state, state_editor)

    database_backward = database_forward


async def create_view(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """The public part of the keys, also of those that the previous version stores meanwhile."""
    if editor.client.capabilities.dialect == "postgres":
        jwk = "(private_jwk::jsonb - 'd' - 'sealed')::text"
    else:
        jwk = "json_remove(private_jwk, '$.d', '$.sealed')"
    await editor.client.execute_query(
        f"CREATE VIEW public_signing_keys AS SELECT kid, {jwk} AS jwk, created_at FROM signing_keys"
    )


async def drop_view(apps: StateApps, editor: BaseSchemaEditor) -> None:
    await editor.client.execute_query("DROP VIEW public_signing_keys")


class Migration(migrations.Migration):
    dependencies = [("storage", "0012_quotas")]

    operations = [
        ops.CreateModel(
            name="StoredDataKey",
            fields=[
                ("id", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=16)),
                ("wrapped", fields.CharField(max_length=255)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "data_keys",
                "app": "storage",
                "pk_attr": "id",
                "table_description": "The key that encrypts private keys and secrets of logins, wrapped by KEYS_SECRET.",
            },
            bases=["Model"],
        ),
        WidenField(model_name="LoginSession", name="secret", field=fields.CharField(max_length=255)),
        ops.RunPython(create_view, drop_view),
    ]
