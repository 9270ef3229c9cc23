from tortoise import fields, migrations
from tortoise.fields.base import OnDelete
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
        ops.CreateModel(
            name="ResetToken",
            fields=[
                ("digest", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=64)),
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
                ("expires_at", fields.BigIntField(db_index=True)),
            ],
            options={
                "table": "password_resets",
                "app": "storage",
                "pk_attr": "digest",
                "table_description": "A token to reset a user's password that has not been used, by its digest. Times are in Unix seconds.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="TotpFactor",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
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
                ("secret", fields.CharField(max_length=255)),
                ("is_confirmed", fields.BooleanField(default=False)),
                ("last_step", fields.BigIntField(default=0)),
            ],
            options={
                "table": "second_factors",
                "app": "storage",
                "pk_attr": "id",
                "table_description": "The secret of a user's one-time codes, encrypted. Codes up to `last_step` (of 30 s) are used up.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="RecoveryCode",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "user",
                    fields.ForeignKeyField(
                        "storage.User",
                        source_field="user_id",
                        db_constraint=True,
                        to_field="id",
                        related_name=False,
                        on_delete=OnDelete.CASCADE,
                    ),
                ),
                ("digest", fields.CharField(max_length=64)),
            ],
            options={
                "table": "recovery_codes",
                "app": "storage",
                "unique_together": (("user", "digest"),),
                "pk_attr": "id",
                "table_description": "A code that replaces a one-time code once, by its digest.",
            },
            bases=["Model"],
        ),
    ]
