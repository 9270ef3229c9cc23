"""The commit function, again: it refuses reactions of a user whom the other member of a direct chat has blocked."""

from tortoise import migrations
from tortoise.migrations import operations as ops

from storage.log.commit_postgres import create_function, keep_function


class Migration(migrations.Migration):
    dependencies = [("storage", "0028_chat_removals")]

    operations = [ops.RunPython(create_function, keep_function)]
