"""What waits in the outbox: read from the chat log, claimed by lease, finished or put off.

Any number of processes may do so at once.

Invariants: no other process can claim a claimed row for LEASE_S, after which any process can; a row is deleted only if
nothing was added to it since the claim; `from_seq` moves forward only. So a delivery that is repeated after a crash or
a stall begins at the same position: a receiver sees the events of a chat for the first time in their own order.
"""

from collections.abc import Sequence
from typing import Final

from storage.database.database import Database, Row
from storage.outbox.notes import TOUCH
from storage.outbox.positions import OutboxPositions, head_of
from storage.outbox_records import (
    EXTRAS_READ,
    NOTHING_WANTED,
    Backlog,
    DeadLetter,
    Dropped,
    ExtraEvent,
    Head,
    Wanted,
)

LEASE_S: Final = 30.0
"""Longer than a claim, a read, a delivery and a finish take together."""
LEFT_S: Final = 2.0
"""What another process has committed is left to it for so long: it has the events in memory."""
DEAD_KEPT_S: Final = 30 * 24 * 3600
PURGED: Final = 1000
"""Dead letters that one call deletes at most."""
DROPPED: Final = 1000
"""Streams, and events of `outbox_events`, that one call drops at most."""
ENDPOINTS: Final = 100
"""Endpoints that are listed at most."""
MAX_ERROR: Final = 100

_EXTRA_TO: Final = """
    CASE WHEN has_extras THEN (
        SELECT coalesce(max(e.id), 0) FROM outbox_events e
        WHERE e.endpoint = $1 AND e.stream = outbox.stream AND e.dead_at IS NULL) ELSE 0 END"""
# of what was committed before the claim: an event that the log does not have must not overtake one that it has
_HEAD: Final = f"""
    id, stream, from_seq, to_seq, has_extras, {_EXTRA_TO} AS extra_to, version, attempts, failing_since, created_at"""
_EXTRA: Final = "id, stream, after_seq, log_seq, type, data, created_at"
# A commit that became visible after one with higher ids was read. SQLite has none.
_IS_GAP_FILLED: Final = f"""
    EXISTS (
        SELECT 1 FROM outbox_positions p CROSS JOIN LATERAL unnest(string_to_array(p.gaps, ' ')) AS gap
        CROSS JOIN LATERAL (
            SELECT created_at FROM chat_log
            WHERE id BETWEEN split_part(gap, '-', 1)::bigint AND split_part(gap, '-', 2)::bigint
            ORDER BY id LIMIT 1) AS filled
        WHERE p.endpoint = $1 AND filled.created_at < now() - interval '{LEFT_S} seconds')"""
# An index gives the next name after each: the number of rows does not matter.
_NAMES: Final = """
    SELECT min(endpoint) FROM {table}
    UNION ALL
    SELECT (SELECT min(endpoint) FROM {table} WHERE endpoint > {names}.name)
    FROM {names} WHERE {names}.name IS NOT NULL"""
_ENDPOINTS: Final = f"""
    WITH RECURSIVE heads (name) AS ({_NAMES.format(table="outbox", names="heads")}),
        extras (name) AS ({_NAMES.format(table="outbox_events", names="extras")})
    SELECT endpoint AS name FROM outbox_positions
    UNION SELECT name FROM heads WHERE name IS NOT NULL
    UNION SELECT name FROM extras WHERE name IS NOT NULL
    ORDER BY name LIMIT {ENDPOINTS}"""
_DROP_POSITION: Final = """
    DELETE FROM outbox_positions WHERE endpoint = $1
    RETURNING coalesce((SELECT max(id) FROM chat_log), 0) - after_id AS unread"""
_DROP: Final = """
    WITH held AS MATERIALIZED (SELECT id FROM {table} WHERE endpoint = $1 ORDER BY stream LIMIT {limit}{lock})
    DELETE FROM {table} WHERE id IN (SELECT id FROM held) RETURNING {columns}"""
_DEAD: Final = "id, endpoint, stream, after_seq, log_seq, type, error, created_at, dead_at"


class Outbox:
    """Every method raises StorageUnavailable if the database does not respond in time."""

    def __init__(self, database: Database, wanted: Wanted = NOTHING_WANTED) -> None:
        """`wanted`: what each endpoint receives that `claim` is called for."""
        self._database = database
        self._wanted = wanted
        is_postgres = database.postgres is not None
        self._now = database.now_ms_sql
        self._true = "true" if is_postgres else "1"
        skip_locked = "FOR UPDATE SKIP LOCKED" if is_postgres else ""
        in_order = "FOR UPDATE OF o" if is_postgres else ""
        claim = f"""
            WITH due AS MATERIALIZED (
                SELECT id FROM outbox WHERE endpoint = $1 AND {{which}} LIMIT $2 {skip_locked})
            UPDATE outbox SET due_at = {self._now} + {round(LEASE_S * 1000)} WHERE id IN (SELECT id FROM due)
            RETURNING {_HEAD}"""
        self._claim_fresh = claim.format(which="due_at = 0 ORDER BY id")
        self._claim_late = claim.format(which=f"due_at > 0 AND due_at <= {self._now} ORDER BY due_at")
        self._positions = OutboxPositions(database, LEASE_S)
        created_ms = "(extract(epoch FROM created_at) * 1000)::bigint"
        if not is_postgres:
            created_ms = "CAST((julianday(created_at) - 2440587.5) * 86400000 AS INTEGER)"
        unread = "FROM chat_log WHERE id > (SELECT after_id FROM outbox_positions WHERE endpoint = $1)"
        self._unread_since = f"(SELECT {created_ms} {unread} ORDER BY id LIMIT 1)"
        self._is_fresh_due = f"""
            SELECT EXISTS (SELECT 1 FROM outbox WHERE endpoint = $1 AND due_at = 0)
                OR {_IS_GAP_FILLED if is_postgres else "0"}
                OR coalesce({self._unread_since} < {self._now} - {round(LEFT_S * 1000)},
                    {"false" if is_postgres else "0"}) AS is_due"""
        self._is_late_due = f"""
            SELECT EXISTS (
                SELECT 1 FROM outbox WHERE endpoint = $1 AND due_at > 0 AND due_at <= {self._now}) AS is_due"""
        self._delete = f"""
            WITH held AS MATERIALIZED (
                SELECT o.id FROM {database.pairs_table()} JOIN outbox o ON o.id = p.a AND o.version = p.b
                ORDER BY o.stream {in_order})
            DELETE FROM outbox WHERE id IN (SELECT id FROM held) RETURNING id"""
        locked = f"SELECT o.id FROM {database.pairs_table()} JOIN outbox o ON o.id = p.a ORDER BY o.stream {in_order}"
        self._advance = f"""
            WITH held AS MATERIALIZED ({locked})
            UPDATE outbox SET due_at = 0, attempts = 0, failing_since = NULL, error = '', created_at = {self._now},
                from_seq = CASE WHEN outbox.from_seq < p.b THEN p.b ELSE outbox.from_seq END
            FROM {database.pairs_table()} WHERE outbox.id = p.a AND outbox.id IN (SELECT id FROM held)"""
        self._put_off = f"""
            WITH held AS MATERIALIZED ({locked})
            UPDATE outbox SET due_at = {self._now} + p.b, attempts = attempts + 1, error = $3,
                failing_since = coalesce(failing_since, {self._now})
            FROM {database.pairs_table()} WHERE outbox.id = p.a AND outbox.id IN (SELECT id FROM held)"""
        if not is_postgres:  # its pairs are one value
            self._put_off = self._put_off.replace("$3", "$2")

    async def is_due(self, endpoint: str, *, late: bool) -> bool:
        """Whether there is anything to claim, but for what others have just committed; costs less than a claim."""
        (row,) = await self._database.fetch(self._is_late_due if late else self._is_fresh_due, endpoint)
        return bool(row["is_due"])

    async def begin(self) -> None:
        """Let endpoints that are new have what is committed from now on; call it before this process commits."""
        for endpoint in self._wanted.types:
            if self._wanted.kinds_of(endpoint):
                await self._positions.begin(endpoint)

    async def claim(self, endpoint: str, limit: int, *, late: bool) -> list[Head]:
        """Lease up to `limit` rows: those that were never tried, or `late`, those whose delay or lease has ended."""
        rows = await self._database.write(self._claim_late if late else self._claim_fresh, endpoint, limit)
        heads = [head_of(row, row["extra_to"]) for row in rows]
        # After the claim: what the log has before a claimed event of another kind is in the row of its chat then.
        kinds = self._wanted.kinds_of(endpoint)
        if kinds and (not late or any(head.extra_to for head in heads)):
            heads = await self._positions.fold(endpoint, kinds, heads, 0 if late else limit)
        return sorted(heads, key=lambda head: head.id)

    async def extras(self, endpoint: str, streams: Sequence[int]) -> list[ExtraEvent]:
        """The first EXTRAS_READ extra events of each of these streams, in their order."""
        sql = f"""
            SELECT {_EXTRA} FROM (
                SELECT {_EXTRA}, row_number() OVER (PARTITION BY stream ORDER BY id) AS place FROM outbox_events
                WHERE endpoint = $1 AND dead_at IS NULL AND stream {self._database.among("$2")}) AS e
            WHERE place <= {EXTRAS_READ} ORDER BY id"""
        rows = await self._database.fetch(sql, endpoint, self._streams(streams))
        return [ExtraEvent(**row) for row in rows]

    async def finish(self, delivered: Sequence[tuple[Head, int, bool]], extra_ids: Sequence[int]) -> None:
        """Record that of each head everything up to this seq is delivered, and whether that is all of it."""
        if extra_ids:
            among = self._database.among("$1")
            sql = f"DELETE FROM outbox_events WHERE id {among} AND dead_at IS NULL"
            await self._database.write(sql, self._database.ids(extra_ids))
        whole = [(head.id, head.version) for head, _, is_all in delivered if is_all]
        rows = await self._database.write(self._delete, *self._database.pairs(whole)) if whole else []
        gone = {row["id"] for row in rows}
        rest = [(head.id, seq + 1) for head, seq, _ in delivered if head.id not in gone]
        if rest:
            await self._database.write(self._advance, *self._database.pairs(rest))

    async def put_off(self, delays: Sequence[tuple[Head, float]], error: str) -> None:
        """Try these again after a delay in seconds each; one more attempt has failed with this error."""
        pairs = [(head.id, max(1, round(delay_s * 1000))) for head, delay_s in delays]
        if pairs:
            await self._database.write(self._put_off, *self._database.pairs(pairs), error[:MAX_ERROR])

    async def bury(
        self, endpoint: str, head: Head, logged: Sequence[tuple[int, str]], extra_ids: Sequence[int], error: str
    ) -> None:
        """Make dead letters of log events, each (seq, type), and of extra events; `finish` moves the head on."""
        add = f"""
            INSERT INTO outbox_events (endpoint, stream, after_seq, log_seq, type, data, created_at, dead_at, error)
            VALUES ($1, $2, $3, $3, $4, '', {self._now}, {self._now}, $5)"""
        among = self._database.among("$1")
        mark = f"UPDATE outbox_events SET dead_at = {self._now}, error = $2 WHERE id {among}"
        async with self._database.transaction() as client:
            for seq, type_ in logged:
                values = [endpoint, head.stream, seq, type_, error[:MAX_ERROR]]
                await client.execute_query(self._database.dialect(add), values)
            if extra_ids:
                ids = self._database.ids(extra_ids)
                await client.execute_query(self._database.dialect(mark), [ids, error[:MAX_ERROR]])

    async def dead_letters(self, endpoint: str | None, after: int, limit: int) -> list[DeadLetter]:
        """The first `limit` dead letters with a higher id, of one endpoint or of all."""
        sql = f"""
            SELECT {_DEAD} FROM outbox_events
            WHERE dead_at IS NOT NULL AND id > $1 AND ($2 = '' OR endpoint = $2) ORDER BY id LIMIT $3"""
        if self._database.postgres is not None:
            sql = sql.replace("$2", "$2::text")
        return [DeadLetter(**row) for row in await self._database.fetch(sql, after, endpoint or "", limit)]

    async def replay(self, letter_ids: Sequence[int]) -> int:
        """Let these wait again, before what waits of their chats; the number of those that were dead letters."""
        among = self._database.among("$1")
        revive = f"""
            UPDATE outbox_events SET dead_at = NULL WHERE id {among} AND dead_at IS NOT NULL
            RETURNING endpoint, stream"""
        touch = self._database.dialect(TOUCH.format(now=self._now, true=self._true))
        async with self._database.transaction() as client:
            ids = self._database.ids(letter_ids)
            rows = await client.execute_query_dict(self._database.dialect(revive), [ids])
            for endpoint, stream in sorted({(row["endpoint"], row["stream"]) for row in rows}):
                await client.execute_query(touch, [endpoint, stream])
        return len(rows)

    async def purge(self) -> int:
        """Delete up to PURGED dead letters that are older than DEAD_KEPT_S, and return their number."""
        sql = f"""
            DELETE FROM outbox_events WHERE id IN (
                SELECT id FROM outbox_events WHERE dead_at < {self._now} - {DEAD_KEPT_S * 1000} LIMIT {PURGED})
            RETURNING id"""
        return len(await self._database.write(sql))

    async def backlog(self, endpoint: str) -> Backlog:
        """What waits for the endpoint. What it has not read of the log counts by its ids: events of all kinds."""
        sql = f"""
            SELECT count(*) AS streams, coalesce(sum(CASE WHEN attempts > 0 THEN 1 ELSE 0 END), 0) AS failing,
                coalesce(sum(CASE WHEN to_seq < from_seq THEN 0 ELSE to_seq - from_seq + 1 END), 0) AS logged,
                min(created_at) AS since, {self._now} AS now, coalesce(max(error), '') AS error,
                (SELECT max(id) FROM chat_log) - (SELECT after_id FROM outbox_positions WHERE endpoint = $1) AS unread,
                {self._unread_since} AS unread_since,
                (SELECT count(*) FROM outbox_events WHERE endpoint = $1 AND dead_at IS NULL) AS extras,
                (SELECT count(*) FROM outbox_events WHERE endpoint = $1 AND dead_at IS NOT NULL) AS dead
            FROM outbox WHERE endpoint = $1"""
        (row,) = await self._database.fetch(sql, endpoint)
        events = int(row["logged"]) + max(0, row["unread"] or 0) + row["extras"]
        since = min((at for at in (row["since"], row["unread_since"]) if at is not None), default=row["now"])
        lag_s = max(0, row["now"] - since) / 1000
        return Backlog(events, row["streams"], int(row["failing"]), row["dead"], lag_s, row["error"])

    async def endpoints(self) -> list[str]:
        """The names that the outbox has anything of, in their order, also of endpoints that are no longer set up."""
        return [row["name"] for row in await self._database.fetch(_ENDPOINTS)]

    async def drop(self, endpoint: str) -> Dropped:
        """Forget where the endpoint stands and delete some of what it holds, dead letters too.

        Call it again until all is dropped. A process that still delivers to the endpoint begins anew.
        """
        positions = await self._database.write(_DROP_POSITION, endpoint)
        heads = await self._drop("outbox", "from_seq, to_seq", endpoint)
        extras = await self._drop("outbox_events", "id", endpoint)
        logged = sum(max(0, row["to_seq"] - row["from_seq"] + 1) for row in heads)
        unread = sum(max(0, row["unread"]) for row in positions)
        is_all = len(heads) < DROPPED and len(extras) < DROPPED
        return Dropped(unread + logged + len(extras), is_all)

    async def _drop(self, table: str, columns: str, endpoint: str) -> list[Row]:
        lock = " FOR UPDATE" if self._database.postgres is not None else ""
        sql = _DROP.format(table=table, columns=columns, limit=DROPPED, lock=lock)
        return await self._database.write(sql, endpoint)

    def _streams(self, streams: Sequence[int]) -> object:
        """As `Database.ids`, which knows positive numbers only."""
        return list(streams) if self._database.postgres is not None else f"[{','.join(map(str, streams))}]"
