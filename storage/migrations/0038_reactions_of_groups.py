"""The commit function, again: a reaction in a group looked for blocks among all members."""

from tortoise import migrations
from tortoise.migrations import operations as ops

from storage.log.commit_postgres import create_function, keep_function


class Migration(migrations.Migration):
    dependencies = [("storage", "0037_missing_indexes")]

    operations = [ops.RunPython(create_function, keep_function)]
