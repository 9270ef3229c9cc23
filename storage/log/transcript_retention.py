"""Deletes the oldest lines of the transcripts: those beyond an age, and those beyond the size of the whole table.

The size is the sum of `transcript_sizes`, which every insert and deletion changes in its own transaction: to measure
the table would mean to read it. Every node runs this; two at once delete different lines, at worst a batch too many.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from storage.database.database import Database
from storage.errors import StorageUnavailable
from storage.log.event_rows import moment_of
from storage.log.transcripts import ADD_SIZE, LINE_BYTES

INTERVAL_S: Final = 60.0
BATCH: Final = 1000
"""Lines that one transaction deletes at most."""
PAUSE_S: Final = 0.1
"""Between batches, which leaves the database to others."""

_SIZE: Final = "SELECT coalesce(sum(bytes), 0) AS bytes FROM transcript_sizes"
_OLDEST: Final = f"""
    SELECT id, created_at, length(payload) + {LINE_BYTES} AS bytes FROM transcripts ORDER BY id LIMIT {BATCH}"""
_DELETED_SHARD: Final = -1

_log = logging.getLogger(__name__)


class TranscriptRetention:
    """Keeps the transcripts below a size in bytes and an age in seconds; 0 means no limit."""

    def __init__(
        self,
        database: Database,
        *,
        max_bytes: int,
        max_age_s: float,
        on_measured: Callable[[int], None] = lambda _: None,
        on_deleted: Callable[[int], None] = lambda _: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`on_measured` gets the size of the table every INTERVAL_S, `on_deleted` the lines of each batch."""
        self._database = database
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._on_measured = on_measured
        self._on_deleted = on_deleted
        self._now = now

    async def run(self) -> None:
        """Delete every INTERVAL_S until cancelled."""
        while True:
            try:
                await self.purge()
            except StorageUnavailable as error:
                _log.warning("old transcripts were not deleted: %s", error)
            await asyncio.sleep(random.uniform(0.5, 1.5) * INTERVAL_S)  # noqa: S311 - spreads the nodes

    async def purge(self) -> None:
        """Delete what is too old or too much, batch by batch.

        Raises: StorageUnavailable.
        """
        while True:
            size = await self.size()
            self._on_measured(size)
            deleted = await self._delete_batch(size)
            if deleted:
                self._on_deleted(deleted)
            if deleted < BATCH:
                return
            await asyncio.sleep(PAUSE_S)

    async def size(self) -> int:
        """The bytes of all lines, each with LINE_BYTES.

        Raises: StorageUnavailable.
        """
        (row,) = await self._database.fetch(_SIZE)
        return int(row["bytes"])

    async def _delete_batch(self, size: int) -> int:
        too_many = size - self._max_bytes if self._max_bytes else 0
        oldest = datetime.fromtimestamp(self._now() - self._max_age_s if self._max_age_s else 0, UTC)
        is_postgres = self._database.postgres is not None
        async with self._database.transaction() as client:
            rows = await client.execute_query_dict(_OLDEST + (" FOR UPDATE SKIP LOCKED" if is_postgres else ""))
            ids: list[int] = []
            freed = 0
            for row in rows:
                if freed >= too_many and moment_of(row["created_at"]) >= oldest:
                    break
                ids.append(row["id"])
                freed += row["bytes"]
            if ids:
                delete = f"DELETE FROM transcripts WHERE id {self._database.among('$1')}"
                await client.execute_query(self._database.dialect(delete), [self._database.ids(ids)])
                await client.execute_query(self._database.dialect(ADD_SIZE), [_DELETED_SHARD, -freed])
        return len(ids)
