from tortoise import fields, migrations
from tortoise.migrations import operations as ops

from storage.records import Direction


class Migration(migrations.Migration):
    dependencies = [("storage", "0005_rooms")]

    operations = [
        ops.CreateModel(
            name="TranscriptLine",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("user_id", fields.BigIntField()),
                ("session_id", fields.CharField(max_length=32)),
                ("place", fields.BigIntField()),
                ("direction", fields.CharEnumField(description="IN: in\nOUT: out", enum_type=Direction, max_length=3)),
                ("payload", fields.BinaryField()),
                ("is_text", fields.BooleanField()),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "transcripts",
                "app": "storage",
                "unique_together": (("session_id", "place"), ("user_id", "id")),
                "pk_attr": "id",
                "table_description": "A message of an echo session, as it was: bytes, since PostgreSQL's text has no NUL.",
            },
            bases=["Model"],
        ),
    ]
