from tortoise import fields, migrations
from tortoise.fields.base import OnDelete
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Keys have a table of their own: an index over all chats would stop them while it is built."""

    dependencies = [("storage", "0024_reactions")]

    operations = [
        ops.AddField(model_name="ChatRoom", name="data", field=fields.TextField(default="", db_default="")),
        ops.AddField(model_name="ChatRoom", name="retention_days", field=fields.IntField(null=True)),
        ops.AddField(model_name="ChatRoom", name="version", field=fields.IntField(default=1, db_default=1)),
        ops.CreateModel(
            name="ChatKey",
            fields=[
                (
                    "key",
                    fields.CharField(max_length=128, primary_key=True, unique=True, db_index=True),
                ),
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
                "table": "chat_keys",
                "app": "storage",
                "pk_attr": "key",
                "table_description": "The name that an application gave to a chat, by which it finds the chat. It never changes.",
            },
            bases=["Model"],
        ),
    ]
