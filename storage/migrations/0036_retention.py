"""Where the logs of chats begin, and who removes what is too old. Nothing was removed before."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("storage", "0035_present_users")]

    operations = [
        ops.AddField(model_name="ChatRoom", name="first_seq", field=fields.BigIntField(default=1, db_default=1)),
        ops.CreateModel(
            name="RetentionPass",
            fields=[
                ("id", fields.SmallIntField(primary_key=True, generated=False, unique=True, db_index=True)),
                ("claimed_by", fields.CharField(default="", max_length=80)),
                ("claimed_until", fields.BigIntField(default=0)),
                ("due_at", fields.BigIntField(default=0)),
                ("chat_cursor", fields.BigIntField(default=0)),
            ],
            options={
                "table": "retention_passes",
                "app": "storage",
                "pk_attr": "id",
                "table_description": "The only row says which node removes old messages, how far it is, and when the next pass is due.",
            },
            bases=["Model"],
        ),
    ]
