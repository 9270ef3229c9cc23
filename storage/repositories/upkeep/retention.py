"""Removes messages that are older than their chat keeps them (`docs/message-log.md`, "Retention").

Keeps: only the beginning of a log is removed, batch by batch, each a transaction under the chat's lock that also moves
`first_seq`, so that no read and no commit sees a hole. One node at a time works, by a claim in the database; another
goes on where one has stopped. Two at once would do no harm.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Final

from msgspec import Struct
from tortoise.backends.base.client import BaseDBAsyncClient

from storage.database.database import Database, Row
from storage.errors import StorageUnavailable
from storage.log.event_rows import moment_of
from storage.repositories.upkeep.claims import WorkClaims

INTERVAL_S: Final = 900
"""From the end of a pass over all chats to the next one."""
LOOK_S: Final = 30.0
"""How often a node looks whether a pass is due."""
LEASE_S: Final = 30
"""A node that does not renew its claim for so long has died."""
CHATS: Final = 1_000
"""Chats that one query looks through."""
BATCH: Final = 250
"""Events that one transaction removes."""
UNQUOTED: Final = 1_000
"""Replies that one transaction changes: a message may have any number of them."""
_PASS: Final = 1
"""The id of the one row of `retention_passes`."""
PAUSE_S: Final = 0.02
"""Between batches, which leaves the database to others."""

_CREATE: Final = """
INSERT INTO retention_passes (id, claimed_by, claimed_until, due_at, chat_cursor) VALUES (1, '', 0, $1, 0)
ON CONFLICT DO NOTHING"""
_DUE: Final = "SELECT due_at FROM retention_passes WHERE id = 1"
_CURSOR: Final = "SELECT chat_cursor FROM retention_passes WHERE id = 1"
_MOVE_CURSOR: Final = "UPDATE retention_passes SET chat_cursor = $1 WHERE id = 1"
_FINISH: Final = """
UPDATE retention_passes SET claimed_until = 0, chat_cursor = 0, due_at = $2 WHERE id = 1 AND claimed_by = $1"""
# A subquery, since PostgreSQL may read the whole log for a join; chats that keep everything cost no look into the log.
_CHATS: Final = f"""
SELECT c.id, c.first_seq, c.retention_days, CASE WHEN c.retention_days IS NOT NULL OR CAST($2 AS BIGINT) > 0 THEN (
    SELECT e.created_at FROM chat_log e WHERE e.chat_id = c.id AND e.seq = c.first_seq) END AS oldest
FROM chats c WHERE c.id > $1 AND NOT c.is_removed ORDER BY c.id LIMIT {CHATS}"""
_FIRST: Final = "SELECT first_seq FROM chats WHERE id = $1 AND NOT is_removed"
_EVENTS: Final = f"""
SELECT id, seq, created_at, reply_to, reply_count FROM chat_log WHERE chat_id = $1 AND seq >= $2
ORDER BY seq LIMIT {BATCH}"""
_MENTIONS: Final = "DELETE FROM mentions WHERE chat_id = $1 AND seq >= $2 AND seq <= $3"
_MOVE: Final = "UPDATE chats SET first_seq = $2 WHERE id = $1"

logger = logging.getLogger("gateway.upkeep")


class _Due(Struct, frozen=True):
    """A chat whose log begins with events from before `horizon`."""

    chat_id: int
    first_seq: int
    oldest: datetime
    horizon: datetime


class ChatRetention:
    """Every method raises StorageUnavailable if the database does not respond in time. `run` is its owner task."""

    def __init__(
        self,
        database: Database,
        node_id: str,
        days: int,
        on_removed: Callable[[int], None] = lambda _: None,
        on_lag: Callable[[float], None] = lambda _: None,
        on_overdue: Callable[[float], None] = lambda _: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Chats without `retention_days` of their own keep events for `days`, 0 without end.

        `on_removed` gets the number of events of each batch, `on_lag` the seconds by which the oldest event of the
        chat at work was due before now, and 0 after a pass. `on_overdue` gets the seconds since a pass of any node was
        due, while it has not ended.
        """
        self._database = database
        self._node_id = node_id[:80]
        self._days = days
        self._on_removed = on_removed
        self._on_lag = on_lag
        self._on_overdue = on_overdue
        self._now = now
        self._claims = WorkClaims(
            database, node_id, LEASE_S, table="retention_passes", key="id", is_due="due_at <= $2", order="id"
        )
        self._held_at = 0.0
        self._due_at = now()
        among = database.among("$1")
        self._first = _FIRST + (" FOR NO KEY UPDATE" if database.postgres is not None else "")
        self._unquote_some = f"""
            UPDATE replies SET text = '' WHERE message_id IN (
                SELECT message_id FROM replies WHERE target_id {among} AND text <> '' LIMIT {UNQUOTED})
            RETURNING message_id"""
        self._unquote = f"UPDATE replies SET text = '' WHERE target_id {among} AND text <> ''"
        self._delete_replies = f"DELETE FROM replies WHERE message_id {among}"
        self._delete = f"DELETE FROM chat_log WHERE id {among}"  # reactions go with their message

    async def run(self) -> None:
        """Make every pass that is due, until cancelled."""
        while True:
            await asyncio.sleep(random.uniform(0.5, 1.5) * LOOK_S)  # noqa: S311 - spreads the nodes
            try:
                await self.work()
            except StorageUnavailable as error:
                self._report()
                logger.warning("retention_postponed", extra={"fields": {"error": str(error)}})

    async def work(self) -> None:
        """Make the pass over all chats that is due, unless another node does."""
        self._held_at = self._now()
        now = int(self._held_at)
        await self._database.write(_CREATE, now)
        self._due_at = next((row["due_at"] for row in await self._database.fetch(_DUE)), now)
        self._report()
        if await self._claims.claim(now) is None:
            return
        try:
            rows = await self._database.fetch(_CURSOR)
            if rows and await self._walk(rows[0]["chat_cursor"]):
                self._due_at = int(self._now()) + INTERVAL_S
                await self._database.write(_FINISH, self._node_id, self._due_at)
                self._report()
        finally:
            self._on_lag(0)

    def _report(self) -> None:
        self._on_overdue(max(0.0, self._now() - self._due_at))

    async def _walk(self, cursor: int) -> bool:
        """Go through the chats with ids above `cursor`; False if another node has taken the work over."""
        while rows := await self._database.fetch(_CHATS, cursor, self._days):
            for due in filter(None, map(self._due, rows)):
                if not await self._clear(due):
                    return False
            cursor = rows[-1]["id"]
            if not await self._hold():
                return False
            await self._database.write(_MOVE_CURSOR, cursor)
            await asyncio.sleep(PAUSE_S)
        return True

    def _due(self, row: Row) -> _Due | None:
        days = row["retention_days"] or self._days
        if not days or row["oldest"] is None:
            return None
        oldest = moment_of(row["oldest"])
        horizon = datetime.fromtimestamp(self._now(), UTC) - timedelta(days=days)
        return _Due(row["id"], row["first_seq"], oldest, horizon) if oldest < horizon else None

    async def _clear(self, due: _Due) -> bool:
        self._on_lag((due.horizon - due.oldest).total_seconds())
        count = BATCH
        while count == BATCH:
            await self._unquote_targets(due)
            count = await self._remove(due)
            self._on_removed(count)
            await asyncio.sleep(PAUSE_S)
            if self._now() - self._held_at > LEASE_S / 3 and not await self._hold():
                return False
        return True

    async def _hold(self) -> bool:
        """Renew the claim; False if another node has taken it."""
        self._held_at = self._now()
        self._report()
        return await self._claims.hold(_PASS)

    async def _unquote_targets(self, due: _Due) -> None:
        """Clear, in replies to the next events, the copies of what goes, in transactions of a bounded size."""
        rows = await self._database.fetch(_FIRST, due.chat_id)
        if not rows:
            return
        events = await self._database.fetch(_EVENTS, due.chat_id, rows[0]["first_seq"])
        targets = _targets(_old(events, due.horizon))
        changed = UNQUOTED if targets else 0
        while changed == UNQUOTED:
            changed = len(await self._database.write(self._unquote_some, self._database.ids(targets)))
            await asyncio.sleep(PAUSE_S)

    async def _remove(self, due: _Due) -> int:
        """Remove the next events that are too old; their number. Less than BATCH: no more are."""
        sql = self._database.dialect
        async with self._database.transaction() as client:
            chats = await client.execute_query_dict(sql(self._first), [due.chat_id])
            if not chats:
                return 0
            events = await client.execute_query_dict(sql(_EVENTS), [due.chat_id, chats[0]["first_seq"]])
            old = _old(events, due.horizon)
            if old:
                await self._delete_events(client, due.chat_id, old)
                await client.execute_query(sql(_MOVE), [due.chat_id, old[-1]["seq"] + 1])
        return len(old)

    async def _delete_events(self, client: BaseDBAsyncClient, chat_id: int, old: Sequence[Row]) -> None:
        sql, ids = self._database.dialect, self._database.ids
        if targets := _targets(old):  # of replies that came meanwhile
            await client.execute_query(sql(self._unquote), [ids(targets)])
        if replies := [row["id"] for row in old if row["reply_to"] is not None]:
            await client.execute_query(sql(self._delete_replies), [ids(replies)])
        await client.execute_query(sql(_MENTIONS), [chat_id, old[0]["seq"], old[-1]["seq"]])
        await client.execute_query(sql(self._delete), [ids(row["id"] for row in old)])


def _old(events: Sequence[Row], horizon: datetime) -> list[Row]:
    """The first of the events that are older, up to one that is not: clocks of nodes differ, and seqs have no holes."""
    return list(takewhile(lambda row: moment_of(row["created_at"]) < horizon, events))


def _targets(events: Sequence[Row]) -> list[int]:
    """The ids of messages to which others reply."""
    return [row["id"] for row in events if row["reply_count"]]
