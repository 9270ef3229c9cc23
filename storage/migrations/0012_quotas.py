from tortoise import fields, migrations
from tortoise.indexes import Index
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """`created_by` is NULL in the chats that exist: they do not count."""

    dependencies = [("storage", "0011_login_sessions")]

    operations = [
        ops.AddField(model_name="ChatRoom", name="created_by", field=fields.BigIntField(null=True, db_index=True)),
        ops.AddIndex(model_name="Membership", index=Index(fields=("user_id", "chat_id"))),
    ]
