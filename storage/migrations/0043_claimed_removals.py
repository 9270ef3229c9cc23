"""Who clears a removed chat, as for other work that nodes claim."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("storage", "0042_one_index_of_users")]

    operations = [
        ops.AddField(
            model_name="ChatRemoval",
            name="claimed_by",
            field=fields.CharField(default="", db_default="", max_length=80),
        ),
    ]
