"""Messages reply to messages and mention members; the commit function stores it."""

from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

from storage.log.commit_postgres import create_function, keep_function


class Migration(migrations.Migration):
    dependencies = [("storage", "0025_chat_details")]

    operations = [
        ops.AddField(model_name="ChatLogEntry", name="reply_to", field=fields.BigIntField(null=True)),
        ops.AddField(model_name="ChatLogEntry", name="reply_count", field=fields.IntField(db_default=0)),
        ops.AddField(model_name="ChatLogEntry", name="mentions", field=fields.TextField(null=True)),
        ops.CreateModel(
            name="MessageReply",
            fields=[
                ("message_id", fields.BigIntField(primary_key=True, generated=False, unique=True, db_index=True)),
                ("target_id", fields.BigIntField()),
                ("seq", fields.BigIntField()),
                ("text", fields.TextField(null=True, unique=False)),
            ],
            options={
                "table": "replies",
                "app": "storage",
                "indexes": [Index(fields=["target_id", "seq"])],
                "pk_attr": "message_id",
                "table_description": "A message that replies to another one of its chat, `target_id`.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Mention",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("user_id", fields.BigIntField()),
                ("chat_id", fields.BigIntField()),
                ("seq", fields.BigIntField()),
            ],
            options={
                "table": "mentions",
                "app": "storage",
                "unique_together": (("user_id", "chat_id", "seq"),),
                "indexes": [Index(fields=["chat_id", "seq"])],
                "pk_attr": "id",
                "table_description": "A member whom the message at this seq mentions.",
            },
            bases=["Model"],
        ),
        ops.RunPython(create_function, keep_function),
    ]
