"""The tasks by which a node removes from the database what is to go: old messages and transcripts, erased users."""

from collections.abc import Callable

from gateway.config.settings import Settings
from gateway.metrics import Metrics
from gateway.node.upkeep.erasures import ErasureJob
from gateway.tasks import Tasks
from storage.database.database import Database
from storage.log.transcript_retention import TranscriptRetention
from storage.outbox_records import Wanted
from storage.repositories.upkeep.erasure_work import ErasureWork
from storage.repositories.upkeep.retention import ChatRetention


def start_upkeep(
    tasks: Tasks,
    settings: Settings,
    database: Database,
    metrics: Metrics,
    node_id: str,
    on_left: Callable[[int, int], None],
    wanted: Wanted,
) -> ErasureJob:
    """Start them in `tasks`; the job does erasures, and is told of new ones.

    `on_left` is called with chat and user when a membership ends; `wanted` is what that writes to the outbox.
    """
    erasures = ErasureJob(ErasureWork(database, node_id, wanted=wanted), on_left)
    tasks.spawn(_transcripts(settings, database, metrics).run(), "old transcripts")
    tasks.spawn(_messages(settings, database, metrics, node_id).run(), "old messages")
    tasks.spawn(erasures.run(), "erasures")
    return erasures


def _messages(settings: Settings, database: Database, metrics: Metrics, node_id: str) -> ChatRetention:
    delivery = metrics.delivery
    return ChatRetention(
        database,
        node_id,
        settings.retention_days,
        delivery.events_removed.inc,
        delivery.retention_lag.set,
        delivery.retention_overdue.set,
    )


def _transcripts(settings: Settings, database: Database, metrics: Metrics) -> TranscriptRetention:
    return TranscriptRetention(
        database,
        max_bytes=settings.echo_transcripts_mb * 1024 * 1024,
        max_age_s=settings.echo_transcript_days * 24 * 3600,
        on_measured=metrics.delivery.transcript_bytes.set,
        on_deleted=metrics.delivery.transcript_lines_deleted.inc,
    )
