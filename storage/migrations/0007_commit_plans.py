"""The commit function, again: it keeps its plans now."""

from tortoise import migrations
from tortoise.migrations import operations as ops

from storage.log.commit_postgres import create_function, keep_function


class Migration(migrations.Migration):
    dependencies = [("storage", "0006_transcripts")]

    operations = [ops.RunPython(create_function, keep_function)]
