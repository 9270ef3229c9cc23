"""The removal of chats: at once for everybody, and of the rows batch by batch. Implements `RemovalLog`.

Keeps: a removal is one short transaction under the chat's lock, after which no commit and no read sees the chat; what
was committed before goes with it. The rows are deleted by whichever node has claimed the chat, at most BATCH at a time.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Final

from storage.database.database import Database
from storage.errors import InvalidMembers, NotAllowed, StorageUnavailable
from storage.models import ChatKey, ChatRemoval, ChatRoom
from storage.outbox.chat_notes import ChatNotes
from storage.outbox_records import NOTHING_WANTED, Wanted
from storage.records import SYSTEM, ChatKind
from storage.repositories.chat_setup.lock import locked_chat
from storage.repositories.owners import settle_owner
from storage.repositories.upkeep.claims import WorkClaims

BATCH: Final = 1000
"""Rows that one statement deletes at most."""
PAUSE_S: Final = 0.02
"""Between batches, which leaves the database to others."""
INTERVAL_S: Final = 5.0
CLAIM_S: Final = 30
"""A node that does not renew its claim of a chat for so long has died."""
KEPT_S: Final = 600
"""How long a finished removal is kept, for nodes that were without the database."""
MAX_READ: Final = 10_000
LOG_BATCH: Final = 250
"""Events that are deleted at a time: fewer, since replies and reactions go with them."""
TABLES: Final = ("memberships", "former_members", "bars", "mentions")
"""Everything with a `chat_id` that goes with a chat, but for its log; a test finds tables that are missing here."""

_LOG: Final = "chat_log"
_PART_IN_POSTGRES: Final = """
DELETE FROM {table} WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM {table} WHERE chat_id = $1 LIMIT {batch} FOR UPDATE SKIP LOCKED)) RETURNING 1 AS one
"""
_PART_IN_SQLITE: Final = """
DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE chat_id = $1 LIMIT {batch}) RETURNING 1 AS one
"""

_log = logging.getLogger(__name__)


class ChatRemovals:
    """Every method raises StorageUnavailable if the database does not respond in time. `run` is its owner task."""

    def __init__(
        self,
        database: Database,
        wanted: Wanted = NOTHING_WANTED,
        on_deleted: Callable[[int], None] = lambda _: None,
        now: Callable[[], float] = time.time,
        node_id: str = "",
    ) -> None:
        """`wanted` is what removals write to the outbox; `on_deleted` gets the number of rows of each batch.

        `run` works under the name of the node.
        """
        self._database = database
        self._notes = ChatNotes(database, wanted)
        self._on_deleted = on_deleted
        self._now = now
        self._due = asyncio.Event()
        in_postgres = database.postgres is not None
        part = _PART_IN_POSTGRES if in_postgres else _PART_IN_SQLITE
        self._parts = {table: part.format(table=table, batch=BATCH) for table in TABLES}
        self._events = f"SELECT id FROM chat_log WHERE chat_id = $1 ORDER BY seq LIMIT {LOG_BATCH}"
        self._of_events = [
            f"DELETE FROM {table} WHERE {column} {database.among('$1')}"
            for table, column in (("replies", "message_id"), ("chat_log", "id"))
        ]
        self._claims = WorkClaims(
            database,
            node_id,
            CLAIM_S,
            table="chat_removals",
            key="chat_id",
            is_due="NOT is_done",
            order="removed_at, chat_id",
        )

    async def remove(self, chat_id: int, actor_id: int | None) -> None:
        """Remove the chat for everybody; its rows follow. Only the owner and services (None) may.

        Raises: NoSuchChat, NotAllowed, InvalidMembers (a room or the public channel, which the system needs).
        """
        async with self._database.transaction() as client:
            room = await locked_chat(chat_id, actor_id)
            if actor_id is not None and (room.kind is ChatKind.DIRECT or actor_id != await settle_owner(room)):
                raise NotAllowed
            if room.kind is ChatKind.ROOM or (room.kind is ChatKind.PUBLIC and room.direct_key is not None):
                raise InvalidMembers("rooms and the public channel cannot be removed")
            # Without its keys, its place in a quota and its creator, whose account may end before the rows are gone.
            freed = {"direct_key": None, "created_by": None, "creator_id": SYSTEM.id}
            await ChatRoom.filter(id=chat_id).update(is_removed=True, **freed)
            await ChatKey.filter(chat_id=chat_id).delete()
            await self._notes.removed(client, chat_id, room.last_seq, actor_id)
            await ChatRemoval.create(chat_id=chat_id, removed_at=int(self._now()))
            await client.execute_query(self._database.dialect(self._parts["memberships"]), [chat_id])
        self._due.set()

    async def since(self, moment: int) -> Sequence[int]:
        """The chats that were removed at this time (Unix seconds) or later."""
        query = f"SELECT chat_id FROM chat_removals WHERE removed_at >= $1 LIMIT {MAX_READ}"
        rows = await self._database.fetch(query, moment)
        return [row["chat_id"] for row in rows]

    async def run(self) -> None:
        """Delete the rows of removed chats until cancelled."""
        while True:
            try:
                while (chat_id := await self._claims.claim()) is not None:
                    await self._clear(chat_id)
                await self._database.write(
                    "DELETE FROM chat_removals WHERE is_done AND removed_at < $1", int(self._now()) - KEPT_S
                )
            except StorageUnavailable as error:
                _log.warning("removed chats were not cleared: %s", error)
            try:
                async with asyncio.timeout(random.uniform(0.5, 1.5) * INTERVAL_S):  # noqa: S311 - spreads the nodes
                    await self._due.wait()
            except TimeoutError:
                pass
            self._due.clear()

    async def _clear(self, chat_id: int) -> None:
        renewed_at = self._now()
        for table in (*TABLES, _LOG):
            while True:
                deleted, most = await self._delete(table, chat_id)
                self._on_deleted(deleted)
                if deleted < most:
                    break
                if self._now() - renewed_at > CLAIM_S / 3:
                    renewed_at = self._now()
                    if not await self._claims.hold(chat_id):
                        return  # another node goes on
                await asyncio.sleep(PAUSE_S)
        await self._database.write("DELETE FROM chats WHERE id = $1", chat_id)
        await self._database.write("UPDATE chat_removals SET is_done = $2 WHERE chat_id = $1", chat_id, True)

    async def _delete(self, table: str, chat_id: int) -> tuple[int, int]:
        """Delete rows of the chat; how many, and the most that it deletes at a time."""
        if table != _LOG:
            return len(await self._database.write(self._parts[table], chat_id)), BATCH
        rows = await self._database.fetch(self._events, chat_id)
        ids = self._database.ids(row["id"] for row in rows)
        for statement in self._of_events if rows else ():
            await self._database.write(statement, ids)
        return len(rows), LOG_BATCH
