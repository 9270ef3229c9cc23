"""When chats were active and what was said last in them, kept by the commit; and how a member's lists show a chat."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

from storage.log.commit_postgres import create_function, keep_function


class Migration(migrations.Migration):
    dependencies = [("storage", "0021_outbox")]

    # Rows that are there get no values: to fill the columns would lock every chat meanwhile. Lists read the log instead.
    operations = [
        ops.AddField(model_name="ChatRoom", name="last_activity", field=fields.BigIntField(default=0, db_default=0)),
        ops.AddField(model_name="ChatRoom", name="last_message_id", field=fields.BigIntField(null=True)),
        ops.AddField(
            model_name="Membership", name="is_pinned", field=fields.BooleanField(default=False, db_default=False)
        ),
        ops.AddField(
            model_name="Membership", name="is_archived", field=fields.BooleanField(default=False, db_default=False)
        ),
        ops.AddField(model_name="Membership", name="silenced_until", field=fields.BigIntField(default=0, db_default=0)),
        ops.RunPython(create_function, keep_function),
    ]
