from typing import Any

from tortoise import fields, migrations
from tortoise.fields.base import OnDelete
from tortoise.migrations import operations as ops


def _reference(model: str, column: str, **options: Any) -> Any:
    return fields.ForeignKeyField(
        model,
        source_field=column,
        db_constraint=True,
        to_field="id",
        related_name=False,
        on_delete=OnDelete.CASCADE,
        **options,
    )


def _id() -> Any:
    return fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)


class Migration(migrations.Migration):
    dependencies = [("storage", "0009_revocations")]

    operations = [
        ops.CreateModel(
            name="Block",
            fields=[
                ("id", _id()),
                ("user", _reference("storage.User", "user_id")),
                ("blocked_id", fields.BigIntField()),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "blocks",
                "app": "storage",
                "unique_together": (("user", "blocked_id"),),
                "pk_attr": "id",
                "table_description": "A user, by id, who may not add the owner of the block to chats.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="StaffMember",
            fields=[
                ("id", _id()),
                (
                    "user",
                    fields.OneToOneField(
                        "storage.User",
                        source_field="user_id",
                        db_constraint=True,
                        to_field="id",
                        related_name=False,
                        on_delete=OnDelete.CASCADE,
                    ),
                ),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "staff",
                "app": "storage",
                "pk_attr": "id",
                "table_description": "A user who may create service and support chats and give the roles of their staff.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Bar",
            fields=[
                ("id", _id()),
                ("chat", _reference("storage.ChatRoom", "chat_id")),
                ("user", _reference("storage.User", "user_id", db_index=True)),
                ("barred_by", fields.BigIntField()),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=True)),
            ],
            options={
                "table": "bars",
                "app": "storage",
                "unique_together": (("chat", "user"),),
                "pk_attr": "id",
                "table_description": "A user who was removed from a public chat and may not join it again.",
            },
            bases=["Model"],
        ),
    ]
