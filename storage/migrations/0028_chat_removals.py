"""A chat can be removed: the commit function stores nothing for a removed one."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

from storage.log.commit_postgres import create_function, keep_function


class Migration(migrations.Migration):
    dependencies = [("storage", "0027_room_for_reads")]

    operations = [
        ops.AddField(
            model_name="ChatRoom", name="is_removed", field=fields.BooleanField(default=False, db_default=False)
        ),
        ops.CreateModel(
            name="ChatRemoval",
            fields=[
                ("chat_id", fields.BigIntField(primary_key=True, generated=False, unique=True, db_index=True)),
                ("removed_at", fields.BigIntField(db_index=True)),
                ("claimed_until", fields.BigIntField(default=0)),
                ("is_done", fields.BooleanField(default=False)),
            ],
            options={
                "table": "chat_removals",
                "app": "storage",
                "pk_attr": "chat_id",
                "table_description": "A chat that was removed, whose rows are deleted by the node that has claimed it."
                " Times are in Unix seconds.",
            },
            bases=["Model"],
        ),
        ops.RunPython(create_function, keep_function),
    ]
