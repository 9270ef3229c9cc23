"""The triggers that keep `audit_records` append-only: no UPDATE, no TRUNCATE, no DELETE before a row has expired.

They stop a defect of ours and a stolen credential of the application from rewriting history, not the owner of the
database, who can drop them. The clock is the database's own.
"""

from typing import Final

from tortoise.migrations.schema_editor.base import BaseSchemaEditor
from tortoise.migrations.schema_generator.state_apps import StateApps

SQLITE_NOW: Final = "CAST(strftime('%s', 'now') AS INTEGER)"
POSTGRES_NOW: Final = "extract(epoch FROM now())::bigint"

_SQLITE: Final = (
    """
    CREATE TRIGGER audit_records_no_update BEFORE UPDATE ON audit_records
    BEGIN SELECT RAISE(ABORT, 'audit_records is append-only'); END""",
    f"""
    CREATE TRIGGER audit_records_no_delete BEFORE DELETE ON audit_records WHEN OLD.expires_at > {SQLITE_NOW}
    BEGIN SELECT RAISE(ABORT, 'audit_records is append-only'); END""",
    # INSERT OR REPLACE deletes the old row without the trigger above; the new row is ignored instead
    """
    CREATE TRIGGER audit_records_no_replace BEFORE INSERT ON audit_records
    WHEN EXISTS (SELECT 1 FROM audit_records WHERE id = NEW.id OR uid = NEW.uid)
    BEGIN SELECT RAISE(IGNORE); END""",
)
_POSTGRES: Final = f"""
CREATE FUNCTION audit_records_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.expires_at <= {POSTGRES_NOW} THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'audit_records is append-only';
END $$;
CREATE TRIGGER audit_records_rows BEFORE UPDATE OR DELETE ON audit_records
    FOR EACH ROW EXECUTE FUNCTION audit_records_append_only();
CREATE TRIGGER audit_records_truncate BEFORE TRUNCATE ON audit_records
    FOR EACH STATEMENT EXECUTE FUNCTION audit_records_append_only();
"""


async def create_triggers(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """Called by the migration that creates the table."""
    if editor.client.capabilities.dialect == "postgres":
        await editor.client.execute_script(_POSTGRES)
        return
    for trigger in _SQLITE:
        await editor.client.execute_query(trigger)


async def drop_triggers(apps: StateApps, editor: BaseSchemaEditor) -> None:
    """Undo `create_triggers`; dropping the table would leave PostgreSQL's function."""
    if editor.client.capabilities.dialect == "postgres":
        await editor.client.execute_script("DROP FUNCTION audit_records_append_only CASCADE")
