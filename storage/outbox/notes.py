"""What a transaction adds to the outbox, beside its own changes: that log events wait, or an event that is not logged.

A commit adds one row an endpoint, of all its chats, which `storage.outbox.commits` folds into the rows of chats later.

Invariants: such a row is inserted under the locks of its chats, so that the rows of a chat have ids in the order of its
seqs. Other rows are locked in the order (endpoint, stream), as in `storage.outbox.queue`, so that no two wait for each
other. `version` moves with every addition: a row is deleted only if nothing was added to it since it was read.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from tortoise.backends.base.client import BaseDBAsyncClient

from storage.database.database import Database
from storage.outbox_records import NOTHING_WANTED, EventType, Wanted

POSTGRES_NOW_MS: Final = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
SQLITE_NOW_MS: Final = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"

HEAD_COLUMNS: Final = "endpoint, stream, from_seq, to_seq, has_extras, version, due_at, attempts, error, created_at"
_ADD_COMMIT: Final = "INSERT INTO outbox_commits (endpoint, seqs, events, created_at)"


def committing_sql(call: str, arguments: int) -> str:
    """The statement that calls the commit's function and notes what it has stored, in one transaction.

    `call` selects from the function with `arguments` arguments, the first of which is the chats. Two more follow:
    endpoints, and for each a kind of event that it wants.
    """
    return f"""
        WITH done AS MATERIALIZED ({call}), noted AS (
            {_ADD_COMMIT}
            SELECT w.endpoint, string_agg(($1::bigint[])[d.place] || ',' || d.seq, ','), count(*), {POSTGRES_NOW_MS}
            FROM done d JOIN unnest(${arguments + 1}::text[], ${arguments + 2}::text[]) AS w (endpoint, kind)
                ON w.kind = d.kind
            WHERE d.verdict = 'created' GROUP BY w.endpoint
        ) SELECT * FROM done ORDER BY place"""


_NOTE_SQLITE: Final = f"{_ADD_COMMIT} VALUES (?, ?, ?, {SQLITE_NOW_MS})"


def note_logged(connection: sqlite3.Connection, wanted: Wanted, events: Sequence[tuple[int, int, str]]) -> None:
    """Note stored events, each (chat, seq, kind), in the transaction of SQLite's commit."""
    found: dict[str, list[str]] = {}
    for endpoint, kind in wanted.kinds():
        found.setdefault(endpoint, []).extend(f"{chat},{seq}" for chat, seq, its_kind in events if its_kind == kind)
    rows = [(endpoint, ",".join(pairs), len(pairs)) for endpoint, pairs in found.items() if pairs]
    connection.executemany(_NOTE_SQLITE, rows)


_NOTE: Final = f"{_ADD_COMMIT} VALUES ($1, $2, $3, {{now}})"
ADD_EVENT: Final = """
    INSERT INTO outbox_events (endpoint, stream, after_seq, type, data, created_at, error)
    VALUES ($1, $2, $3, $4, $5, {now}, '')"""
TOUCH: Final = f"""
    INSERT INTO outbox ({HEAD_COLUMNS}) VALUES ($1, $2, 1, 0, {{true}}, 1, 0, 0, '', {{now}})
    ON CONFLICT (endpoint, stream) DO UPDATE SET version = outbox.version + 1, has_extras = {{true}}"""


class OutboxNotes:
    """Adds events that the chat log does not have, within the transactions that make them true."""

    def __init__(self, database: Database, wanted: Wanted = NOTHING_WANTED) -> None:
        self._wanted = wanted
        is_postgres = database.postgres is not None
        words = {"now": POSTGRES_NOW_MS, "true": "true", "false": "false"}
        if not is_postgres:
            words = {"now": SQLITE_NOW_MS, "true": "1", "false": "0"}
        self._note = database.dialect(_NOTE.format(**words))
        self._add = database.dialect(ADD_EVENT.format(**words))
        self._touch = database.dialect(TOUCH.format(**words))

    def wants(self, type_: EventType) -> bool:
        """Whether any endpoint receives this type: otherwise there is nothing to read for it."""
        return bool(self._wanted.endpoints_of(type_))

    async def add_logged(self, client: BaseDBAsyncClient, chat_id: int, kind: str, first: int, last: int) -> None:
        """Note events of this kind, which the transaction of `client` has logged at these seqs beside the commits."""
        for endpoint, its_kind in self._wanted.kinds():
            if its_kind == kind:
                seqs = range(first, last + 1)
                pairs = ",".join(f"{chat_id},{seq}" for seq in seqs)
                await client.execute_query(self._note, [endpoint, pairs, len(seqs)])

    async def add(self, client: BaseDBAsyncClient, type_: EventType, stream: int, after_seq: int, data: bytes) -> None:
        """Add an event in the transaction of `client`, which holds the lock of the stream's chat.

        `data` is a JSON object; `after_seq` the last seq of the chat.
        """
        for endpoint in self._wanted.endpoints_of(type_):
            await client.execute_query(self._add, [endpoint, stream, after_seq, type_.value, data.decode()])
            await client.execute_query(self._touch, [endpoint, stream])

    async def add_many(self, client: BaseDBAsyncClient, type_: EventType, events: Mapping[int, bytes]) -> None:
        """Add an event of users, by stream, in the transaction of `client`, which holds the locks of the users' rows.

        At most once in a transaction, as rows are locked in order.
        """
        for endpoint in self._wanted.endpoints_of(type_) if events else []:
            rows = [[endpoint, stream, 0, type_.value, data.decode()] for stream, data in sorted(events.items())]
            await client.execute_many(self._add, rows)
            await client.execute_many(self._touch, [row[:2] for row in rows])
