from tortoise import fields, migrations
from tortoise.fields.base import OnDelete
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("storage", "0003_store_identity")]

    operations = [
        ops.CreateModel(
            name="OutsideIdentity",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("issuer", fields.CharField(max_length=255)),
                ("subject", fields.CharField(max_length=255)),
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
            ],
            options={
                "table": "identities",
                "app": "storage",
                "unique_together": (("issuer", "subject"),),
                "pk_attr": "id",
                "table_description": "Which user of ours somebody is whom another issuer vouches for: its `iss` and `sub`, to the letter.",
            },
            bases=["Model"],
        ),
    ]
