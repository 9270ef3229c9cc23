"""Endpoints read the chat log from positions of their own: a commit notes nothing for them."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("storage", "0043_claimed_removals")]

    operations = [
        ops.DeleteModel(name="OutboxCommit"),
        ops.CreateModel(
            name="OutboxPosition",
            fields=[
                ("endpoint", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=40)),
                ("after_id", fields.BigIntField()),
                ("gaps", fields.TextField(unique=False)),
            ],
            options={
                "table": "outbox_positions",
                "app": "storage",
                "pk_attr": "endpoint",
                "table_description": "How far an endpoint has read the chat log: all events up to the id `after_id`, but for `gaps` of ids.",
            },
            bases=["Model"],
        ),
    ]
