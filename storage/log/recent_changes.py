"""Which chats have moved since a node looked last: one statement over two indexes, whatever the node has open.

Guarantee: what one look does not see is in a later one, however late it is committed. Commits become visible in
another order than they took their ids in, so a look does not begin where the last one ended:

- Events are read from the highest id of an earlier look, once every transaction has ended that had begun to write by
  then. That is the look before the last one, usually. (A commit writes, as it locks its chats, before it takes ids: if
  it begins to write after a look, it takes higher ids than the look has seen. To know which had begun, the look takes
  the next transaction id for itself.)
- `chats.changed_in` is the id of the transaction that changed a chat, by a trigger. It is read from the oldest
  transaction that was open during the last look.

A transaction that stays open, in any database of the server, makes looks longer, up to `most` rows; beyond that they
are incomplete. SQLite has one writer at a time, so none is ever open; it may miss a change that follows the deletion
of the chats that changed last.
"""

from typing import Final

from storage.chat_records import Changes, Look
from storage.database.database import Database, Row
from storage.database.epoch import epoch_of
from storage.log.positions import position_of
from storage.records import BIGINT_MAX

_OLDEST_OPEN: Final = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
_BELOW: Final = "changed_in < pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
_OWN: Final = "pg_current_xact_id()::text::bigint"
_SQLITE_CHANGE: Final = "coalesce((SELECT max(changed_in) FROM chats WHERE changed_in > 0), 0)"


class RecentChanges:
    """Reads them. Stateless: the caller keeps the last look of which it has applied all changes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        is_postgres = database.postgres is not None
        oldest_open, own, change = (_OLDEST_OPEN, _OWN, _OLDEST_OPEN) if is_postgres else ("0", "0", _SQLITE_CHANGE)
        # Rows of a restored database may have ids that its transactions have not reached yet.
        below = f"AND {_BELOW}" if is_postgres else ""
        self._sql = f"""
            WITH look AS MATERIALIZED (
                SELECT {database.epoch_sql} AS epoch, {oldest_open} AS oldest_open, {own} AS own, {change} AS change,
                    (SELECT max(id) FROM chat_log) AS top
                FROM store_identity s)
            SELECT * FROM look LEFT JOIN (
                SELECT chat_id AS id, max(seq) AS last_seq, count(*) AS size,
                    NULL AS members_version, NULL AS version, NULL AS first_seq
                FROM (SELECT chat_id, seq FROM chat_log WHERE id > $1 ORDER BY id LIMIT $3) AS recent GROUP BY chat_id
                UNION ALL
                SELECT * FROM (
                    SELECT id, last_seq, 1 AS size, members_version, version, first_seq FROM chats
                    WHERE changed_in > 0 AND changed_in >= $2 {below} ORDER BY changed_in LIMIT $3) AS changed
            ) AS moved ON true"""

    async def since(self, last: Look | None, most: int) -> Changes:
        """What has moved since `last`; incomplete above `most` new events or changed chats, and without a look before.

        Raises: StorageUnavailable.
        """
        event_id, change = (BIGINT_MAX, BIGINT_MAX) if last is None else (last.event_id, last.change)
        rows = await self._database.fetch(self._sql, BIGINT_MAX if event_id is None else event_id, change, most + 1)
        epoch = epoch_of(rows[0]["epoch"])
        if last is not None and last.epoch != epoch:
            event_id = last = None  # ids of another history
        moved = [row for row in rows if row["id"] is not None]
        logged = [row for row in moved if row["version"] is None]
        changed = [row for row in moved if row["version"] is not None]
        return Changes(
            epoch,
            _next_look(rows[0], epoch, last),
            last is not None and event_id is not None and max(sum(row["size"] for row in logged), len(changed)) <= most,
            {row["id"]: row["last_seq"] for row in logged},
            {row["id"]: position_of(row) for row in changed},
        )


def _next_look(row: Row, epoch: str, last: Look | None) -> Look:
    top = row["top"] or 0
    if last is None:
        return Look(epoch, None, row["change"], top, row["own"])
    if last.ended > row["oldest_open"]:
        return Look(epoch, last.event_id, row["change"], last.top, last.ended)
    return Look(epoch, last.top, row["change"], max(top, last.top), row["own"])
