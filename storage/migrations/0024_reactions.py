"""Reactions. Nodes of the version before stop at the first one of a chat, until they are replaced."""

from tortoise import fields, migrations
from tortoise.fields.base import OnDelete
from tortoise.migrations import operations as ops

from storage.database.describe_field import DescribeField
from storage.log.commit_postgres import create_function, keep_function
from storage.records import EventKind


class Migration(migrations.Migration):
    dependencies = [("storage", "0023_system_sender")]

    operations = [
        ops.AddField(model_name="ChatLogEntry", name="reaction", field=fields.TextField(null=True)),
        ops.AddField(model_name="ChatLogEntry", name="reactions", field=fields.TextField(null=True)),
        DescribeField(
            model_name="ChatLogEntry",
            name="kind",
            field=fields.CharEnumField(
                description="MESSAGE: message\nEDIT: edit\nDELETE: delete\nREACTION: reaction",
                enum_type=EventKind,
                max_length=8,
            ),
        ),
        ops.CreateModel(
            name="MessageReaction",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("chat_id", fields.BigIntField()),
                (
                    "message",
                    fields.ForeignKeyField(
                        "storage.ChatLogEntry",
                        source_field="message_id",
                        db_constraint=True,
                        to_field="id",
                        related_name=False,
                        on_delete=OnDelete.CASCADE,
                    ),
                ),
                ("user_id", fields.BigIntField()),
                ("key", fields.CharField(max_length=32)),
            ],
            options={
                "table": "reactions",
                "app": "storage",
                "unique_together": (("message", "user_id", "key"),),
                "pk_attr": "id",
                "table_description": "A reaction of a user to a message, until it is removed. `chat_log` has its"
                " history.",
            },
            bases=["Model"],
        ),
        ops.RunPython(create_function, keep_function),
    ]
