"""Transcripts of echo sessions: group commits and pages. Implements `gateway.interfaces.transcripts.Transcripts`.

Invariants: `done` is called exactly once for each submission, in the event loop, in submission order, and with True
only after COMMIT; a line is stored once, however often its insert is retried (session and place are unique); the queue
is bounded in bytes; the ids of one user become visible in order, so that a reader that continues after the last id it
read misses nothing.
"""

import asyncio
import logging
import random
import re
import sqlite3
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from storage.database.database import Database, Row
from storage.database.sqlite_writer import SqliteWriter
from storage.errors import StorageUnavailable
from storage.log.event_rows import moment_of
from storage.log.pipeline import OnBatch
from storage.records import Direction, Line, LinePage, NewLine, clamped

BATCH_BYTES = 1024 * 1024  # per commit; a line counts as its payload plus LINE_BYTES
LINE_BYTES = 256
SHARDS = 64  # rows of the table's size: a batch locks one, so that nodes rarely wait for each other
QUEUE_BYTES = 32 * 1024 * 1024  # waiting lines; from half of it on, sessions get backpressure
PAGE_BYTES = 1024 * 1024  # of payload in a page, except for its first line
TRY_S = 5.0  # after it no further attempt starts; one that hangs ends by its own timeouts
PAUSE_S = 0.2  # between attempts
FLUSH_S = 10.0  # to commit submitted lines on close

OnDone = Callable[[bool], None]

_log = logging.getLogger(__name__)

# The lock on the rows of the users makes the batches of several nodes take turns before they get ids.
_INSERT_POSTGRES = f"""
WITH owners AS (SELECT id FROM users WHERE id = ANY ($1::bigint[]) ORDER BY id FOR NO KEY UPDATE), inserted AS (
INSERT INTO transcripts (user_id, session_id, place, direction, payload, is_text, created_at)
SELECT user_id, session_id, place, direction, payload, is_text, clock_timestamp()
FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::bytea[], $6::bool[])
    WITH ORDINALITY AS line (user_id, session_id, place, direction, payload, is_text, number)
WHERE (SELECT count(*) FROM owners) >= 0
ORDER BY number
ON CONFLICT (session_id, place) DO NOTHING
RETURNING length(payload) + {LINE_BYTES} AS bytes)
INSERT INTO transcript_sizes (shard, bytes) SELECT $7::smallint, sum(bytes) FROM inserted HAVING count(*) > 0
ON CONFLICT (shard) DO UPDATE SET bytes = transcript_sizes.bytes + excluded.bytes
"""
_INSERT_SQLITE = """
INSERT INTO transcripts (user_id, session_id, place, direction, payload, is_text, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (session_id, place) DO NOTHING
"""
ADD_SIZE = """
INSERT INTO transcript_sizes (shard, bytes) VALUES ($1, $2)
ON CONFLICT (shard) DO UPDATE SET bytes = transcript_sizes.bytes + excluded.bytes
"""
_ADD_SIZE_SQLITE = re.sub(r"\$\d", "?", ADD_SIZE)
_PAGE = """
SELECT * FROM (
    SELECT *, sum(length(payload)) OVER (ORDER BY id) - length(payload) AS bytes_before, count(*) OVER () AS found
    FROM (SELECT * FROM transcripts WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3) AS next
) AS measured
WHERE bytes_before < $4 ORDER BY id
"""


@asynccontextmanager
async def open_transcripts(
    database: Database, on_batch: OnBatch = lambda size, seconds: None
) -> AsyncIterator["StoredTranscripts"]:
    """The transcripts in `database`. On exit, submitted lines are committed first, for at most FLUSH_S.

    `on_batch` is called for every commit with the number of lines and the seconds that it took.
    """
    insert: _Insert = _PostgresInsert(database) if database.postgres else _SqliteInsert(database.sqlite_path or "")
    transcripts = StoredTranscripts(database, insert, on_batch)
    task = asyncio.create_task(transcripts.run(), name="transcripts")
    try:
        yield transcripts
    finally:
        transcripts.close()
        await asyncio.wait([task], timeout=FLUSH_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await insert.close()


@dataclass(frozen=True, slots=True)
class _Submission:
    lines: Sequence[NewLine]
    done: OnDone
    size: int


class StoredTranscripts:
    """The messages of echo sessions. Created by `open_transcripts`; the interface has the guarantees."""

    def __init__(self, database: Database, insert: "_Insert", on_batch: OnBatch) -> None:
        self._database = database
        self._insert = insert
        self._on_batch = on_batch
        self._waiting: deque[_Submission] = deque()
        self._under_way: list[_Submission] = []
        self._queued_bytes = 0
        self._stirred = asyncio.Event()
        self._closing = False

    @property
    def is_busy(self) -> bool:
        """Whether the queue is so full that sessions should stop reading until their lines are stored."""
        return self._queued_bytes > QUEUE_BYTES // 2

    def submit(self, lines: Sequence[NewLine], done: OnDone) -> None:
        """Queue lines that belong together; `done` gets whether they are stored."""
        size = sum(len(line.payload) + LINE_BYTES for line in lines)
        if self._closing or self._queued_bytes + size > QUEUE_BYTES:
            done(False)
            return
        self._queued_bytes += size
        self._waiting.append(_Submission(lines, done, size))
        self._stirred.set()

    async def page(self, user_id: int, after: int, limit: int) -> LinePage:
        """At most `limit` lines of a user with a higher id, ascending; fewer if they are long."""
        rows = await self._database.fetch(_PAGE, user_id, clamped(after), limit + 1, PAGE_BYTES)
        lines = tuple(_line(row) for row in rows[:limit])
        is_all = not rows or rows[0]["found"] == len(lines)
        return LinePage(lines, None if is_all else lines[-1].id)

    def close(self) -> None:
        """Accept no further lines; `run` returns when all accepted ones are committed."""
        self._closing = True
        self._stirred.set()

    async def run(self) -> None:
        """Commit until closed: lines that arrive during a commit form the next batch."""
        try:
            while True:
                await self._stirred.wait()
                if self._waiting:
                    await self._commit_next()
                elif self._closing:
                    return
                else:
                    self._stirred.clear()
        finally:
            self._refuse_all()

    async def _commit_next(self) -> None:
        self._take()
        lines = [line for submission in self._under_way for line in submission.lines]
        started = time.perf_counter()
        try:
            await self._store(lines)
        except Exception as error:
            # The waiting lines would only wait longer, and no session can continue with a gap in its transcript.
            if isinstance(error, StorageUnavailable):
                _log.warning("%d lines of transcripts were not stored: %s", len(lines), error)
            else:
                _log.exception("the database cannot take %d lines of transcripts", len(lines))
            self._refuse_all()
            return
        self._on_batch(len(lines), time.perf_counter() - started)
        answers, self._under_way = self._under_way, []
        self._answer(answers, stored=True)

    def _take(self) -> None:
        size = 0
        while self._waiting and size < BATCH_BYTES:
            submission = self._waiting.popleft()
            self._under_way.append(submission)
            size += submission.size

    async def _store(self, lines: Sequence[NewLine]) -> None:
        deadline = time.monotonic() + TRY_S
        while True:
            try:
                await self._insert.insert(lines)
            except StorageUnavailable:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(PAUSE_S)
            else:
                return

    def _refuse_all(self) -> None:
        answers = [*self._under_way, *self._waiting]
        self._under_way = []
        self._waiting.clear()
        self._answer(answers, stored=False)

    def _answer(self, answers: Sequence[_Submission], *, stored: bool) -> None:
        for submission in answers:
            self._queued_bytes -= submission.size
            try:
                submission.done(stored)
            except Exception:  # a failing callback must not affect other submissions
                _log.exception("a callback of the transcripts failed")


class _Insert(Protocol):
    """Inserts a batch of lines at once; lines that are already stored are skipped."""

    async def insert(self, lines: Sequence[NewLine]) -> None:
        """Return after COMMIT.

        Raises: StorageUnavailable, also when the outcome is unknown.
        """
        ...

    async def close(self) -> None:
        """Release its resources."""
        ...


class _PostgresInsert:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._shard = random.randrange(SHARDS)  # noqa: S311 - spreads load

    async def insert(self, lines: Sequence[NewLine]) -> None:
        columns = zip(
            *((x.user_id, x.session_id, x.place, x.direction, x.payload, x.is_text) for x in lines), strict=True
        )
        await self._database.write(_INSERT_POSTGRES, *map(list, columns), self._shard)

    async def close(self) -> None:
        """Nothing to release: the pool belongs to the database."""


class _SqliteInsert:
    def __init__(self, path: str) -> None:
        self._writer = SqliteWriter(path, "transcripts")

    async def insert(self, lines: Sequence[NewLine]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            now = datetime.now(UTC).isoformat(" ")
            before = connection.total_changes
            connection.executemany(_INSERT_SQLITE, ((*_columns(line), now) for line in lines))
            if connection.total_changes > before:  # else it is the retry of a batch that was stored
                size = sum(len(line.payload) + LINE_BYTES for line in lines)
                connection.execute(_ADD_SIZE_SQLITE, (0, size))

        await self._writer.write(work)

    async def close(self) -> None:
        await self._writer.close()


def _columns(line: NewLine) -> tuple[object, ...]:
    return line.user_id, line.session_id, line.place, line.direction, line.payload, line.is_text


def _line(row: Row) -> Line:
    return Line(
        id=row["id"],
        session_id=row["session_id"],
        direction=Direction(row["direction"]),
        payload=row["payload"],
        is_text=bool(row["is_text"]),
        created_at=moment_of(row["created_at"]),
    )
