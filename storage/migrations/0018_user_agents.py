from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("storage", "0017_profiles")]

    operations = [
        ops.AddField(
            model_name="LoginSession", name="user_agent", field=fields.CharField(max_length=200, db_default="")
        ),
    ]
