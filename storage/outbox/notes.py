"""What a transaction adds to the outbox, beside its own changes: an event that the chat log does not have.

Those that it has are read from it (`storage.outbox.positions`).

Invariants: rows are locked in the order (endpoint, stream), as in `storage.outbox.queue`, so that no two wait for each
other. `version` moves with every addition: a row is deleted only if nothing was added to it since it was read.
"""

from collections.abc import Mapping
from typing import Final

from tortoise.backends.base.client import BaseDBAsyncClient

from storage.database.database import Database
from storage.outbox_records import NOTHING_WANTED, EventType, Wanted

HEAD_COLUMNS: Final = "endpoint, stream, from_seq, to_seq, has_extras, version, due_at, attempts, error, created_at"

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
        words = {"now": database.now_ms_sql, "true": "true", "false": "false"}
        if not is_postgres:
            words |= {"true": "1", "false": "0"}
        self._add = database.dialect(ADD_EVENT.format(**words))
        self._touch = database.dialect(TOUCH.format(**words))

    def wants(self, type_: EventType) -> bool:
        """Whether any endpoint receives this type: otherwise there is nothing to read for it."""
        return bool(self._wanted.endpoints_of(type_))

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
