from tortoise import fields, migrations
from tortoise.fields.base import OnDelete
from tortoise.migrations import operations as ops
from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps

from storage.database.describe_field import DescribeField
from storage.records import ChatKind


async def add_queue_sender(apps: StateApps, editor: BaseSchemaEditor) -> None:
    await editor.client.execute_query(
        "INSERT INTO users (id, login, login_folded, password_hash, first_name, last_name, created_at)"
        " VALUES (0, 'queue:messages', 'queue:messages', '', '', '', CURRENT_TIMESTAMP)"
    )


async def remove_queue_sender(apps: StateApps, editor: BaseSchemaEditor) -> None:
    await editor.client.execute_query("DELETE FROM chat_log WHERE sender_id = 0")
    await editor.client.execute_query("DELETE FROM chats WHERE creator_id = 0")
    await editor.client.execute_query("DELETE FROM users WHERE id = 0")


class Migration(migrations.Migration):
    dependencies = [("storage", "0004_identities")]

    operations = [
        ops.CreateModel(
            name="RoomName",
            fields=[
                ("name", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=255)),
                (
                    "chat",
                    fields.OneToOneField(
                        "storage.ChatRoom",
                        source_field="chat_id",
                        db_constraint=True,
                        to_field="id",
                        related_name=False,
                        on_delete=OnDelete.CASCADE,
                    ),
                ),
            ],
            options={
                "table": "rooms",
                "app": "storage",
                "pk_attr": "name",
                "table_description": "The name by which a chat of kind ROOM is found.",
            },
            bases=["Model"],
        ),
        DescribeField(
            model_name="ChatRoom",
            name="kind",
            field=fields.CharEnumField(
                description="GROUP: group\nDIRECT: direct\nSERVICE: service\nSUPPORT: support\nPUBLIC: public\nROOM: room",
                enum_type=ChatKind,
                max_length=16,
            ),
        ),
        ops.RunPython(add_queue_sender, remove_queue_sender),
    ]
