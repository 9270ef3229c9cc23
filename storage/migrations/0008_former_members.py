from tortoise import fields, migrations
from tortoise.fields.base import OnDelete
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("storage", "0007_commit_plans")]

    operations = [
        ops.CreateModel(
            name="FormerMember",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "chat",
                    fields.ForeignKeyField(
                        "storage.ChatRoom",
                        source_field="chat_id",
                        db_constraint=True,
                        to_field="id",
                        related_name=False,
                        on_delete=OnDelete.CASCADE,
                    ),
                ),
                (
                    "user",
                    fields.ForeignKeyField(
                        "storage.User",
                        source_field="user_id",
                        db_index=True,
                        db_constraint=True,
                        to_field="id",
                        related_name=False,
                        on_delete=OnDelete.CASCADE,
                    ),
                ),
                ("read_seq", fields.BigIntField()),
            ],
            options={
                "table": "former_members",
                "app": "storage",
                "unique_together": (("chat", "user"),),
                "pk_attr": "id",
                "table_description": "How far a user who was removed from a chat had read, for when they come back.",
            },
            bases=["Model"],
        ),
    ]
