from tortoise import fields, migrations
from tortoise.fields.base import OnDelete
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("storage", "0010_rights")]

    operations = [
        ops.CreateModel(
            name="LoginSession",
            fields=[
                ("id", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=32)),
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
                ("secret", fields.CharField(max_length=64)),
                ("digest", fields.CharField(max_length=64)),
                ("previous_digest", fields.CharField(default="", max_length=64)),
                ("created_at", fields.BigIntField()),
                ("rotated_at", fields.BigIntField()),
                ("expires_at", fields.BigIntField(db_index=True)),
            ],
            options={
                "table": "login_sessions",
                "app": "storage",
                "pk_attr": "id",
                "table_description": "A login that can be renewed. Its refresh token is stored as a digest.",
            },
            bases=["Model"],
        ),
    ]
