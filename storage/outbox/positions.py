"""How far each endpoint has read the chat log, which is the outbox of what it holds: a commit writes nothing else.

Reading moves on from the endpoint's position and folds what it finds into the rows of chats (`outbox`), which are what
is claimed and delivered: a chat that was written to ten times since gets one row, or one change of its row.

Nothing is skipped. On PostgreSQL commits become visible in another order than they took their ids in. So the ids that
are missing below the position are kept as gaps, and read again until every transaction has ended that had begun to
write when the gap was seen. (A commit writes, as it locks its chats, before it takes ids. To know which had begun, the
statement that sees the gap takes the next transaction id for itself, so its transaction must not have written before.)
SQLite has one writer at a time, and no gaps. At most READ events are read at a time, in the order of their ids: what
is left of the gaps comes before what is above the position.

Invariants: an endpoint's log is read by one process at a time; the events of a chat become visible in the order of its
seqs, so that they are folded in that order; an event is folded once.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from tortoise.backends.base.client import BaseDBAsyncClient

from storage.database.database import Database, Row
from storage.outbox.notes import HEAD_COLUMNS
from storage.outbox_records import Head
from storage.records import BIGINT_MAX

READ: Final = 10_000
"""Events that are read at a time."""
RECENT: Final = 1_000
"""Events among which a new endpoint looks for gaps: those of commits that are under way, at most 200 events each."""

_BEGIN_SQLITE: Final = """
    INSERT INTO outbox_positions (endpoint, after_id, gaps)
    SELECT $1, coalesce(max(id), 0), '' FROM chat_log WHERE true ON CONFLICT DO NOTHING"""
_BEGIN_POSTGRES: Final = """
    INSERT INTO outbox_positions (endpoint, after_id, gaps)
    SELECT $1, coalesce(max(id), 0), coalesce(
        string_agg(concat_ws('-', below + 1, id - 1, pg_current_xact_id()), ' ' ORDER BY id)
            FILTER (WHERE id > below + 1), '')
    FROM (
        SELECT id, lag(id, 1, id - 1) OVER (ORDER BY id) AS below
        FROM (SELECT id FROM chat_log ORDER BY id DESC LIMIT {limit}) AS last
    ) AS recent ON CONFLICT DO NOTHING"""
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('outbox'), hashtext($1))"
_POSITION: Final = "SELECT after_id, gaps FROM outbox_positions WHERE endpoint = $1"
_MOVE: Final = "UPDATE outbox_positions SET after_id = $2, gaps = $3 WHERE endpoint = $1"

_HEAD: Final = "id, stream, from_seq, to_seq, has_extras, version, attempts, failing_since, created_at"
_FOLD: Final = """
    INSERT INTO outbox ({columns})
    SELECT $1, r.stream, r.first, r.last, {false}, 1,
        CASE WHEN r.place <= $3 THEN {now} + {lease_ms} ELSE 0 END, 0, '', r.since
    FROM {ranges} AS r WHERE true ORDER BY r.stream
    ON CONFLICT (endpoint, stream) DO UPDATE SET version = outbox.version + 1, to_seq = excluded.to_seq,
        from_seq = CASE WHEN outbox.from_seq > outbox.to_seq THEN excluded.from_seq ELSE outbox.from_seq END
    RETURNING {head}, due_at"""
_RANGES: Final = """
    SELECT chat_id AS stream, min(seq) AS first, max(seq) AS last, {since} AS since,
        row_number() OVER (ORDER BY min(id)) AS place
    FROM {read} GROUP BY chat_id"""
_POSTGRES: Final = """
    WITH seen AS MATERIALIZED (
        SELECT * FROM (
            (SELECT id, chat_id, seq, kind, created_at FROM chat_log WHERE id > $2 ORDER BY id LIMIT {limit})
            UNION ALL
            SELECT filled.* FROM unnest($4::bigint[], $5::bigint[]) AS gap (first_id, last_id) CROSS JOIN LATERAL (
                SELECT id, chat_id, seq, kind, created_at FROM chat_log
                WHERE id BETWEEN first_id AND last_id ORDER BY id LIMIT {limit}) AS filled
        ) AS every ORDER BY id LIMIT {limit}
    ), ranges AS ({ranges}), folded AS ({fold}), progress AS (
        SELECT count(*) AS size, max(id) AS top, array_agg(id) FILTER (WHERE id <= $2) AS filled
        FROM seen
    ), missing AS (
        SELECT array_agg(below + 1) AS firsts, array_agg(id - 1) AS lasts
        FROM (SELECT id, lag(id, 1, $2) OVER (ORDER BY id) AS below FROM seen WHERE id > $2) AS found
        WHERE id > below + 1
    )
    SELECT progress.*, missing.*, folded.*, pg_current_xact_id()::text::bigint AS own,
        pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest_open
    FROM progress CROSS JOIN missing LEFT JOIN folded ON true"""
_SQLITE_PROGRESS: Final = """
    SELECT count(*) AS size, max(id) AS top
    FROM (SELECT id FROM chat_log WHERE id > $1 ORDER BY id LIMIT {limit}) AS seen"""


class Gap(NamedTuple):
    """Ids of events that may still be committed: by a transaction with a lower id than `ended`."""

    first: int
    last: int
    ended: int


class OutboxPositions:
    """The positions of endpoints, in the transactions of those who deliver."""

    def __init__(self, database: Database, lease_s: float) -> None:
        self._database = database
        self._is_postgres = database.postgres is not None
        words = {"columns": HEAD_COLUMNS, "head": _HEAD, "lease_ms": round(lease_s * 1000), "now": database.now_ms_sql}
        if self._is_postgres:
            since = "(extract(epoch FROM min(created_at)) * 1000)::bigint"
            ranges = _RANGES.format(since=since, read="seen WHERE kind = ANY ($6::text[])")
            fold = _FOLD.format(false="false", ranges="ranges", **words)
            self._fold_sql = _POSTGRES.format(ranges=ranges, fold=fold, limit=READ)
            self._begin_sql = _BEGIN_POSTGRES.format(limit=RECENT)
        else:
            since = "CAST((julianday(min(created_at)) - 2440587.5) * 86400000 AS INTEGER)"
            read = "chat_log WHERE id > $2 AND id <= $4 AND kind IN (SELECT value FROM json_each($5))"
            ranges = f"({_RANGES.format(since=since, read=read)})"
            self._fold_sql = database.dialect(_FOLD.format(false="0", ranges=ranges, **words))
            self._begin_sql = database.dialect(_BEGIN_SQLITE)
        self._progress_sql = database.dialect(_SQLITE_PROGRESS.format(limit=READ))
        self._present_sql = f"SELECT {_HEAD} FROM outbox WHERE id {database.among('$1')}"

    async def begin(self, endpoint: str) -> None:
        """Let an endpoint without a position have what is committed from now on.

        Raises: StorageUnavailable.
        """
        async with self._database.transaction() as client:
            await client.execute_query(self._begin_sql, [endpoint])

    async def fold(self, endpoint: str, kinds: Sequence[str], claimed: Sequence[Head], limit: int) -> list[Head]:
        """Fold all events of these kinds that were committed before the call.

        Returns the claimed heads with what they hold now, and new ones that are leased too, up to `limit` altogether:
        one for each stream.
        Raises: StorageUnavailable.
        """
        heads = {head.stream: head for head in claimed}
        is_whole = False
        while not is_whole:
            async with self._database.transaction() as client:
                size, rows = await self._read(client, endpoint, kinds, limit - len(heads))
            is_whole = size < READ
            for row in rows:
                known = heads.get(row["stream"])
                if row["version"] == 1 and row["due_at"] > 0:  # new; others have finished a claimed one of this stream
                    heads[row["stream"]] = head_of(row, 0)
                elif known is not None and known.id == row["id"]:
                    heads[row["stream"]] = head_of(row, known.extra_to)
        # Others may have folded what comes before a claimed event that the log does not have.
        for row in await self._present([head.id for head in heads.values() if head.extra_to]):
            heads[row["stream"]] = head_of(row, heads[row["stream"]].extra_to)
        return list(heads.values())

    async def _present(self, head_ids: Sequence[int]) -> list[Row]:
        if not head_ids:
            return []
        return await self._database.fetch(self._present_sql, self._database.ids(head_ids))

    async def _read(
        self, client: BaseDBAsyncClient, endpoint: str, kinds: Sequence[str], leases: int
    ) -> tuple[int, list[Row]]:
        """Read on by READ events: their number, and the rows of their chats."""
        if self._is_postgres:
            await client.execute_query(_LOCK, [endpoint])
        positions = await client.execute_query_dict(self._database.dialect(_POSITION), [endpoint])
        if not positions:  # an operator has deleted what there was of the endpoint
            await client.execute_query(self._begin_sql, [endpoint])
            return 0, []
        after_id, text = positions[0]["after_id"], positions[0]["gaps"]
        gaps = _parsed(text)
        if self._is_postgres:
            columns = [[gap.first for gap in gaps], [gap.last for gap in gaps]]
            rows = await client.execute_query_dict(self._fold_sql, [endpoint, after_id, leases, *columns, list(kinds)])
            progress, rows = rows[0], rows if rows[0]["id"] is not None else []
            gaps = _still_open(gaps, progress)
        else:
            (progress,) = await client.execute_query_dict(self._progress_sql, [after_id])
            values = [endpoint, after_id, leases, progress["top"], self._database.texts(kinds)]
            rows = await client.execute_query_dict(self._fold_sql, values) if progress["size"] else []
        top = max(after_id, progress["top"] or 0)
        if (top, _text(gaps)) != (after_id, text):
            await client.execute_query(self._database.dialect(_MOVE), [endpoint, top, _text(gaps)])
        return progress["size"], rows


def head_of(row: Row, extra_to: int) -> Head:
    """A row of `outbox`; `extra_to` is that of its claim."""
    return Head(
        row["id"],
        row["stream"],
        row["from_seq"],
        row["to_seq"],
        bool(row["has_extras"]),
        extra_to,
        row["version"],
        row["attempts"],
        row["failing_since"],
        row["created_at"],
    )


def _still_open(gaps: Sequence[Gap], progress: Row) -> list[Gap]:
    """What is left of these gaps, and those that were seen now."""
    filled = sorted(progress["filled"] or [])
    # Ids are read in their order, so above the last one of a full part there may be events that have not been read.
    read_to = progress["top"] if progress["size"] == READ else BIGINT_MAX
    left = [
        part
        for gap in gaps
        for part in _without(gap, filled)
        # A higher one than our own is of another cluster, from which this database was restored.
        if part.last > read_to or progress["oldest_open"] < part.ended <= progress["own"]
    ]
    new = zip(progress["firsts"] or [], progress["lasts"] or [], strict=True)
    return [*left, *(Gap(first, last, progress["own"]) for first, last in new)]


def _without(gap: Gap, ids: Sequence[int]) -> Iterator[Gap]:
    """The parts of a gap that remain between these ascending ids."""
    first = gap.first
    for id_ in ids:
        if first <= id_ <= gap.last:
            if first < id_:
                yield Gap(first, id_ - 1, gap.ended)
            first = id_ + 1
    if first <= gap.last:
        yield Gap(first, gap.last, gap.ended)


def _parsed(text: str) -> list[Gap]:
    return [Gap(*map(int, part.split("-"))) for part in text.split()]


def _text(gaps: Sequence[Gap]) -> str:
    return " ".join(f"{gap.first}-{gap.last}-{gap.ended}" for gap in gaps)
