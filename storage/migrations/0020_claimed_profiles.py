"""Names that follow the tokens of the external issuer, and when names changed."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("storage", "0019_message_data")]

    operations = [
        ops.AddField(model_name="User", name="kept_fields", field=fields.TextField(default="", db_default="")),
        ops.AddField(
            model_name="User", name="changed_at", field=fields.BigIntField(default=0, db_default=0, db_index=True)
        ),
        ops.AddField(
            model_name="OutsideIdentity", name="claims_issued_at", field=fields.BigIntField(default=0, db_default=0)
        ),
        ops.AddField(
            model_name="OutsideIdentity", name="claims_written_at", field=fields.BigIntField(default=0, db_default=0)
        ),
    ]
