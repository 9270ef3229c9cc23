"""Events that are older than they are."""

from datetime import UTC, datetime, timedelta

from storage.database.database import Database


async def make_old(database: Database, chat_id: int, last_seq: int, days: int = 10) -> None:
    """Date the events up to `last_seq` back by so many days."""
    then = datetime.now(UTC) - timedelta(days=days)
    value = then if database.postgres is not None else then.isoformat(" ")
    sql = "UPDATE chat_log SET created_at = $1 WHERE chat_id = $2 AND seq <= $3 RETURNING id"
    await database.write(sql, value, chat_id, last_seq)
