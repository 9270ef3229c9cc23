from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("storage", "0013_encrypted_keys")]

    operations = [
        ops.CreateModel(
            name="Invitation",
            fields=[
                ("digest", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
                ("login_folded", fields.CharField(default="", max_length=255)),
                ("expires_at", fields.BigIntField(db_index=True)),
            ],
            options={
                "table": "invitations",
                "app": "storage",
                "pk_attr": "digest",
                "table_description": "An invitation that has not been used, by the digest of its token.",
            },
            bases=["Model"],
        ),
    ]
