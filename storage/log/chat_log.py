"""The durable log of every chat: group commits and reads. Implements `gateway.interfaces.chat_log.ChatLog`.

Invariants: an event is acknowledged only after COMMIT; the pipeline keeps the order of the
events of each chat; reads return present states and a contiguous run of seqs, since seq order is commit order.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from msgspec.structs import replace

from storage.chat_records import Changes, Look
from storage.database.coalescer import Coalescer
from storage.database.database import Database, Row
from storage.database.epoch import epoch_of
from storage.log.commit import Commit
from storage.log.commit_postgres import PostgresCommit
from storage.log.commit_sqlite import SqliteCommit
from storage.log.event_rows import SELECT_EVENT, event_of
from storage.log.pipeline import OnBatch, Pipeline
from storage.log.positions import PositionReader
from storage.log.recent_changes import RecentChanges
from storage.log.references import targets_of
from storage.reaction_records import OwnReactions
from storage.records import (
    BIGINT_MAX,
    ChatEvent,
    EventKind,
    NewEvent,
    OnOutcome,
    Positions,
    Refusal,
    are_ids,
    clamped,
    is_id,
)

FLUSH_S = 10.0  # to commit submitted events on close

_FIND = SELECT_EVENT + "WHERE e.chat_id = $1 AND e.sender_id = $2 AND e.client_msg_id = $3"
_AFTER = SELECT_EVENT + "WHERE e.chat_id = $1 AND e.seq > $2 ORDER BY e.seq LIMIT $3"
_BEFORE = SELECT_EVENT + "WHERE e.chat_id = $1 AND e.seq < $2 AND e.kind = 'message' ORDER BY e.seq DESC LIMIT $3"
_REPLIES = "SELECT r.message_id FROM replies r WHERE r.target_id = $4 AND r.seq < $2 ORDER BY r.seq DESC LIMIT $3"
# An array, since PostgreSQL may join with the whole chat and not only with the replies.
_AMONG_REPLIES_IN_POSTGRES = f"= ANY (ARRAY({_REPLIES}))"
_AMONG_REPLIES_IN_SQLITE = f"IN ({_REPLIES})"


@asynccontextmanager
async def open_chat_log(
    database: Database,
    on_batch: OnBatch = lambda size, seconds: None,
    hold_s: float = 0.0,
) -> AsyncIterator["StoredChatLog"]:
    """The log in `database`. On exit, submitted events are committed first, for at most FLUSH_S.

    `on_batch` is called for every commit with the number of events and the seconds that it took.
    `hold_s` is how long the first event of an idle log waits for others.
    Raises: StorageUnavailable.
    """
    commit: Commit = (
        PostgresCommit(database.postgres) if database.postgres else SqliteCommit(database.sqlite_path or "")
    )
    pipeline = Pipeline(commit, on_batch, hold_s)
    try:
        yield StoredChatLog(database, pipeline)
    finally:
        try:
            await pipeline.close(FLUSH_S)
        finally:
            await commit.close()


class StoredChatLog:
    """The stored events of all chats, in order. Created by `open_chat_log`; the interface has the guarantees."""

    def __init__(self, database: Database, pipeline: Pipeline) -> None:
        self._database = database
        self._pipeline = pipeline
        self._positions = PositionReader(database)
        self._own_reactions_sql = f"""
            SELECT r.message_id, r.key FROM reactions r
            WHERE r.message_id {database.among("$2")} AND r.user_id = $1 ORDER BY r.id"""
        among_replies = _AMONG_REPLIES_IN_POSTGRES if database.postgres else _AMONG_REPLIES_IN_SQLITE
        self._replies_before = f"{SELECT_EVENT} WHERE e.chat_id = $1 AND e.id {among_replies} ORDER BY e.seq DESC"
        self._epoch_sql = f"SELECT {database.epoch_sql} AS epoch FROM store_identity s"
        self._position = Coalescer(self._positions_of_each)
        self._changes = RecentChanges(database)

    @property
    def waiting(self) -> int:
        """Number of events that wait for a commit."""
        return self._pipeline.waiting

    def submit(self, event: NewEvent, done: OnOutcome) -> None:
        """Queue an event for the next group commit; `done` gets the outcome after COMMIT."""
        if not is_id(event.chat_id):
            done(Refusal.NOT_A_MEMBER)
        elif event.kind != EventKind.MESSAGE and not is_id(event.message_id):
            done(Refusal.NO_SUCH_MESSAGE)
        else:
            self._pipeline.submit(event, done)

    async def find(self, chat_id: int, sender_id: int, client_msg_id: str) -> ChatEvent | None:
        """The stored event with this id, if there is one."""
        if not is_id(chat_id):
            return None
        events = await self._events(_FIND, chat_id, sender_id, client_msg_id)
        return events[0] if events else None

    async def events_after(self, chat_id: int, seq: int, limit: int) -> list[ChatEvent]:
        """At most `limit` events with a higher seq, ascending, without a gap, in their present state."""
        if not is_id(chat_id):
            return []
        return await self._events(_AFTER, chat_id, clamped(seq), limit)

    async def messages_before(self, chat_id: int, seq: int | None, limit: int) -> list[ChatEvent]:
        """The last `limit` messages created below `seq` (None: the newest), ascending, in their present state."""
        if not is_id(chat_id):
            return []
        return await self._messages(_BEFORE, chat_id, BIGINT_MAX if seq is None else clamped(seq), limit)

    async def replies_before(self, chat_id: int, target_id: int, seq: int | None, limit: int) -> list[ChatEvent]:
        """The same of the replies to one message."""
        if not are_ids(chat_id, target_id):
            return []
        below = BIGINT_MAX if seq is None else clamped(seq)
        return await self._messages(self._replies_before, chat_id, below, limit, target_id)

    async def _messages(self, query: str, *values: object) -> list[ChatEvent]:
        rows = await self._database.fetch(query, *values)
        events = await self._events_in(rows)
        counted = [
            replace(event, reply_count=row["reply_count"]) if row["reply_count"] else event
            for event, row in zip(events, rows, strict=True)
        ]
        return counted[::-1]

    async def _events(self, query: str, *values: object) -> list[ChatEvent]:
        return await self._events_in(await self._database.fetch(query, *values))

    async def _events_in(self, rows: Sequence[Row]) -> list[ChatEvent]:
        targets = await targets_of(self._database, rows)
        return [event_of(row, targets) for row in rows]

    async def own_reactions(self, user_id: int, message_ids: Sequence[int]) -> OwnReactions:
        """The user's reactions to these messages, in the order of adding; messages without any are left out."""
        rows = await self._database.fetch(self._own_reactions_sql, user_id, self._database.ids(message_ids))
        own: defaultdict[int, list[str]] = defaultdict(list)
        for row in rows:
            own[row["message_id"]].append(row["key"])
        return own

    async def positions(self, chat_ids: Sequence[int]) -> Positions:
        """The current positions of these chats and the epoch; unknown ids are left out.

        Concurrent calls for one chat each share a statement: in a reconnect storm every client opens its chat.
        """
        if len(chat_ids) == 1 and (found := await self._position.ask(chat_ids[0])) is not None:
            return found
        return await self._positions.read(chat_ids)

    async def _positions_of_each(self, chat_ids: Sequence[int]) -> dict[int, Positions]:
        found = await self._positions.read(chat_ids)
        alone = {chat_id: Positions(found.epoch, {chat_id: position}) for chat_id, position in found.chats.items()}
        return {chat_id: alone.get(chat_id) or Positions(found.epoch, {}) for chat_id in chat_ids}

    async def changes(self, last: Look | None, most: int) -> Changes:
        """What has moved since the last look; incomplete if that are more than `most` events or chats."""
        return await self._changes.since(last, most)

    async def epoch(self) -> str:
        """The identity of this history, which changes with a restore."""
        rows = await self._database.fetch(self._epoch_sql)
        return epoch_of(rows[0]["epoch"])
