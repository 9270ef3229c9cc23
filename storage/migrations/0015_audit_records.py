from tortoise import fields, indexes, migrations
from tortoise.migrations import operations as ops

from storage.database.audit_triggers import create_triggers, drop_triggers


class Migration(migrations.Migration):
    dependencies = [("storage", "0014_accounts")]

    operations = [
        ops.CreateModel(
            name="AuditRecord",
            fields=[
                ("id", fields.BigIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("uid", fields.CharField(unique=True, max_length=32)),
                ("created_at", fields.BigIntField()),
                ("expires_at", fields.BigIntField(db_index=True)),
                ("event", fields.CharField(max_length=32)),
                ("result", fields.CharField(max_length=8)),
                ("actor", fields.CharField(max_length=80)),
                ("operation", fields.CharField(default="", max_length=100)),
                ("on_behalf_of", fields.CharField(default="", max_length=80)),
                ("address", fields.CharField(default="", max_length=45)),
                ("request_id", fields.CharField(default="", max_length=64)),
                ("user_id", fields.BigIntField(null=True)),
                ("chat_id", fields.BigIntField(null=True)),
                ("facts", fields.TextField(default="{}", unique=False)),
                ("count", fields.BigIntField(default=1)),
                ("node", fields.CharField(default="", max_length=80)),
            ],
            options={
                "table": "audit_records",
                "app": "storage",
                "indexes": [
                    indexes.Index(fields=["created_at", "id"]),
                    indexes.Index(fields=["event", "created_at", "id"]),
                    indexes.Index(fields=["actor", "created_at", "id"]),
                    indexes.Index(fields=["user_id", "created_at", "id"]),
                    indexes.Index(fields=["chat_id", "created_at", "id"]),
                ],
                "pk_attr": "id",
                "table_description": "An entry of the audit log (`docs/audit.md`). Rows are appended, and deleted once they have expired.",
            },
            bases=["Model"],
        ),
        ops.RunPython(create_triggers, drop_triggers),
    ]
