"""Which users are present on which nodes. Nobody is, until nodes with this version say so."""

from tortoise import fields, indexes, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("storage", "0034_last_seen")]

    operations = [
        ops.CreateModel(
            name="PresenceLease",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("renewed_at", fields.BigIntField()),
            ],
            options={
                "table": "presence_leases",
                "app": "storage",
                "pk_attr": "id",
                "table_description": "A node that stores who is present. A lease that was not renewed (Unix ms) for a while is never renewed again.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="PresentUser",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("user_id", fields.BigIntField()),
                ("lease_id", fields.BigIntField()),
            ],
            options={
                "table": "present_users",
                "app": "storage",
                "unique_together": (("user_id", "lease_id"),),
                "indexes": [indexes.Index(fields=["lease_id", "user_id"])],
                "pk_attr": "id",
                "table_description": "A user who is present on the node of the lease. A user without a row is offline.",
            },
            bases=["Model"],
        ),
    ]
