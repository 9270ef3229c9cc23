"""Opens the audit log with the database and the settings of a process, and records what commands do."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from gateway.config.settings import Settings
from gateway.metrics import AuditMetrics
from gateway.tasks import Tasks
from httpapi.audit.events import Event, Result
from httpapi.audit.recorder import Recorder
from storage.database.database import Database
from storage.repositories.audit_records import AuditRecords

OPERATOR: Final = "operator"
"""The actor of commands."""
_DAY_S: Final = 24 * 3600


def audit_records(settings: Settings, database: Database) -> AuditRecords:
    """The table, with the retention of the settings."""
    return AuditRecords(database, settings.audit_retention_days * _DAY_S)


@asynccontextmanager
async def open_audit(
    settings: Settings, database: Database, metrics: AuditMetrics, node_id: str
) -> AsyncIterator[Recorder]:
    """The recorder of this process and its task; on leaving, it stores what waits."""
    recorder = Recorder(
        audit_records(settings, database),
        node_id,
        stores_rows=settings.audit_retention_days > 0,
        on_outcome=metrics.counted,
    )
    metrics.watch(lambda: recorder.waiting)
    tasks = Tasks()
    tasks.spawn(recorder.run(), "audit log")
    try:
        yield recorder
    finally:
        await tasks.close()
        await recorder.close()


async def record_command(
    settings: Settings,
    database: Database,
    event: Event,
    *,
    user_id: int | None = None,
    chat_id: int | None = None,
    **facts: str | int,
) -> None:
    """Record what a command has done. If the database does not take the record, the log still has its line."""
    recorder = Recorder(
        audit_records(settings, database), socket.gethostname(), stores_rows=settings.audit_retention_days > 0
    )
    recorder.record(event, Result.OK, OPERATOR, user_id=user_id, chat_id=chat_id, facts=facts)
    await recorder.close()
