"""Messages carry data of the application; the commit function stores them."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops

from storage.log.commit_postgres import create_function, keep_function


class Migration(migrations.Migration):
    dependencies = [("storage", "0018_user_agents")]

    operations = [
        ops.AddField(model_name="ChatLogEntry", name="data", field=fields.TextField(null=True)),
        ops.RunPython(create_function, keep_function),
    ]
