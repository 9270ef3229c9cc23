from tortoise import fields, migrations
from tortoise.migrations import operations as ops

from storage.auth_records import RevocationKind


class Migration(migrations.Migration):
    dependencies = [("storage", "0008_former_members")]

    operations = [
        ops.CreateModel(
            name="Revocation",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("user_id", fields.BigIntField(db_index=True)),
                ("kind", fields.CharEnumField(enum_type=RevocationKind, max_length=16)),
                ("digest", fields.CharField(default="", max_length=64)),
                ("moment", fields.BigIntField(null=True)),
                ("reason", fields.TextField(default="")),
                ("created_at", fields.BigIntField()),
                ("expires_at", fields.BigIntField(null=True, db_index=True)),
            ],
            options={
                "table": "revocations",
                "app": "storage",
                "pk_attr": "id",
                "table_description": "A log of revoked tokens and bans: rows are appended, and deleted once they have no effect.",
            },
            bases=["Model"],
        ),
    ]
