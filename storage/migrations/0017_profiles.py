from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("storage", "0016_echo_and_edits")]

    operations = [
        ops.AddField(model_name="User", name="display_name", field=fields.TextField(default="", db_default="")),
        ops.AddField(model_name="User", name="avatar_url", field=fields.TextField(default="", db_default="")),
        ops.AddField(model_name="User", name="data", field=fields.TextField(default="", db_default="")),
    ]
