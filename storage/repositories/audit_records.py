"""The audit log's table: entries are appended, read in pages, and removed when their retention has ended."""

from collections.abc import Sequence
from typing import Final

import orjson

from storage.audit_entry import AuditCursor, AuditEntry, AuditFilter, AuditPage
from storage.database.audit_triggers import POSTGRES_NOW, SQLITE_NOW
from storage.database.database import Database, Row

PURGED: Final = 1000
"""Rows that one call of `purge` deletes at most."""

_TYPES: Final = {
    "uid": "text",
    "created_at": "bigint",
    "expires_at": "bigint",
    "event": "text",
    "result": "text",
    "actor": "text",
    "operation": "text",
    "on_behalf_of": "text",
    "address": "text",
    "request_id": "text",
    "user_id": "bigint",
    "chat_id": "bigint",
    "facts": "text",
    "count": "bigint",
    "node": "text",
}
_NAMES: Final = ", ".join(_TYPES)
_COLUMNS: Final = f"id, {', '.join(name for name in _TYPES if name != 'expires_at')}"
_RECORD: Final = ", ".join(f"{name} {kind}" for name, kind in _TYPES.items())
_INSERT_SQLITE: Final = f"""
    INSERT OR IGNORE INTO audit_records ({_NAMES})
    SELECT {", ".join(f"json_extract(value, '$.{name}')" for name in _TYPES)} FROM json_each($1)"""
_INSERT_POSTGRES: Final = f"""
    INSERT INTO audit_records ({_NAMES})
    SELECT {_NAMES} FROM jsonb_to_recordset($1::jsonb) AS r ({_RECORD})
    ON CONFLICT (uid) DO NOTHING"""


class AuditRecords:
    """Every method raises StorageUnavailable if the database does not respond in time."""

    def __init__(self, database: Database, retention_s: int) -> None:
        """New entries expire after `retention_s` seconds."""
        self._database = database
        self._retention_s = retention_s

    async def add(self, entries: Sequence[AuditEntry]) -> None:
        """Store entries by one statement; those that are stored already are skipped."""
        if not entries:
            return
        rows = orjson.dumps([self._row(entry) for entry in entries]).decode()
        await self._database.write(_INSERT_SQLITE if self._database.postgres is None else _INSERT_POSTGRES, rows)

    async def page(self, wanted: AuditFilter, after: AuditCursor | None, limit: int) -> AuditPage:
        """Up to `limit` entries that match, newest first, after the cursor's."""
        conditions: list[str] = []
        values: list[object] = []
        for condition, value in (
            ("event =", wanted.event),
            ("actor =", wanted.actor),
            ("user_id =", wanted.user_id),
            ("chat_id =", wanted.chat_id),
            ("created_at >=", wanted.since),
            ("created_at <", wanted.until),
        ):
            if value is not None:
                values.append(value)
                conditions.append(f"{condition} ${len(values)}")
        if after is not None:
            values += (after.created_at, after.entry_id)
            conditions.append(f"(created_at, id) < (${len(values) - 1}, ${len(values)})")
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        sql = f"SELECT {_COLUMNS} FROM audit_records {where} ORDER BY created_at DESC, id DESC LIMIT {int(limit) + 1}"
        rows = await self._database.fetch(sql, *values)
        shown, rest = rows[:limit], rows[limit:]
        following = AuditCursor(shown[-1]["created_at"], shown[-1]["id"]) if rest else None
        return AuditPage([_entry(row) for row in shown], following)

    async def purge(self) -> int:
        """Delete up to PURGED expired rows, by the database's clock; returns their number."""
        now = SQLITE_NOW if self._database.postgres is None else POSTGRES_NOW
        rows = await self._database.write(
            f"""DELETE FROM audit_records WHERE id IN (
                SELECT id FROM audit_records WHERE expires_at <= {now} ORDER BY expires_at LIMIT {PURGED})
            RETURNING id"""
        )
        return len(rows)

    def _row(self, entry: AuditEntry) -> dict[str, object]:
        return {
            "uid": entry.uid,
            "created_at": entry.created_at,
            "expires_at": entry.created_at // 1000 + self._retention_s,
            "event": entry.event,
            "result": entry.result,
            "actor": entry.actor,
            "operation": entry.operation,
            "on_behalf_of": entry.on_behalf_of,
            "address": entry.address,
            "request_id": entry.request_id,
            "user_id": entry.user_id,
            "chat_id": entry.chat_id,
            "facts": orjson.dumps(dict(entry.facts)).decode(),
            "count": entry.count,
            "node": entry.node,
        }


def _entry(row: Row) -> AuditEntry:
    fields = {name: value for name, value in row.items() if name != "id"}
    return AuditEntry(**{**fields, "facts": orjson.loads(row["facts"])})
