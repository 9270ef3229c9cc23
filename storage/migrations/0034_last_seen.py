"""When users were seen last. Nobody was, before."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("storage", "0033_blocks_in_direct_chats")]

    operations = [
        ops.CreateModel(
            name="LastSeen",
            fields=[
                ("user_id", fields.BigIntField(primary_key=True, generated=False, unique=True, db_index=True)),
                ("seen_at", fields.BigIntField()),
            ],
            options={
                "table": "last_seen",
                "app": "storage",
                "pk_attr": "user_id",
                "table_description": "When the last socket of a user on some node closed, in Unix ms. A user who is connected may have an old row.",
            },
            bases=["Model"],
        ),
    ]
