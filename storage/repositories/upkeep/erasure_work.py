"""The work of an erasure, in bounded batches, each of which is one transaction.

Invariants: a row says how far the work is, and who does it until when, so that any node goes on after a crash; each
batch may be repeated; a removed message is a deletion with a seq of its own, as if its sender had deleted it, so that
every client and every node's memory loses the text. All chats are walked, in order of their ids, since former
memberships may have left no trace.
"""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from time import time
from typing import Final

from msgspec import Struct
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.expressions import F

from storage.auth_models import UserErasure
from storage.database.database import Database, Row
from storage.log.transcripts import ADD_SIZE, LINE_BYTES
from storage.models import Bar, Block, ChatRoom, FormerMember, LastSeen, Membership, StaffMember
from storage.outbox.chat_notes import ChatNotes
from storage.outbox_records import NOTHING_WANTED, Wanted
from storage.profile_records import Erasure, Messages
from storage.reaction_records import reaction_text
from storage.records import EventKind
from storage.repositories.owners import settle_owner
from storage.repositories.revocations import KEPT_S
from storage.repositories.upkeep.claims import WorkClaims
from storage.repositories.upkeep.erased_reactions import ErasedReactions
from storage.repositories.users.erasures import clear_credentials, erasure_of

LEASE_S: Final = 15
"""How long a node may take for a batch before another goes on."""
SETTLE_S: Final = 10
"""Age at which an erasure may end: what was under way when it was requested has committed or failed."""
CHATS: Final = 1_000
"""Chats that one query looks through."""
BATCH: Final = 200
"""Rows that one transaction changes."""
_DELETED_SHARD: Final = -1

_CHATS: Final = f"""
    SELECT c.id, EXISTS (SELECT 1 FROM memberships m WHERE m.chat_id = c.id AND m.user_id = $1)
        OR EXISTS (SELECT 1 FROM chat_log e WHERE e.chat_id = c.id AND e.sender_id = $1) AS is_concerned
    FROM (SELECT id FROM chats WHERE id > $2 ORDER BY id LIMIT {CHATS}) c ORDER BY c.id"""
_ROWS: Final = f"""
    SELECT id, seq, kind, message_id, is_deleted, client_msg_id FROM chat_log
    WHERE chat_id = $1 AND sender_id = $2 AND client_msg_id > $3 ORDER BY client_msg_id LIMIT {BATCH}"""
_INSERT: Final = """
    INSERT INTO chat_log (chat_id, seq, kind, message_id, sender_id, client_msg_id, digest, text, is_edited,
        is_deleted, created_at, reaction, reactions)
    VALUES ($1, $2, $3, $4, $5, $6, $7, '', $8, $8, $9, $10, $11)"""
_LINES: Final = f"""
    SELECT id, length(payload) + {LINE_BYTES} AS bytes FROM transcripts WHERE user_id = $1 ORDER BY id LIMIT {BATCH}"""


_MENTIONS: Final = f"""
    DELETE FROM mentions WHERE id IN (SELECT id FROM mentions WHERE user_id = $1 LIMIT {BATCH}) RETURNING id"""


class _Change(Struct, frozen=True):
    """An event to append to a chat: a deletion, or a reaction that is taken back."""

    kind: EventKind
    message_id: int
    reaction: str | None = None
    counts: str | None = None


class ErasureWork:
    """Every method raises StorageUnavailable if the database does not respond in time."""

    def __init__(
        self,
        database: Database,
        node_id: str,
        now: Callable[[], float] = time,
        wanted: Wanted = NOTHING_WANTED,
    ) -> None:
        """`wanted` is what ended memberships write to the outbox."""
        self._database = database
        self._notes = ChatNotes(database, wanted)
        self._reactions = ErasedReactions(database)
        self._now = now
        self._claims = WorkClaims(
            database,
            node_id,
            LEASE_S,
            table="user_erasures",
            key="user_id",
            is_due="finished_at IS NULL",
            order="requested_at, user_id",
        )
        among = database.among("$1")
        self._blank = f"""
            UPDATE chat_log SET text = '', data = NULL, mentions = NULL, digest = $2,
                is_deleted = is_deleted OR kind = 'message'
            WHERE id {among}"""
        self._unquote = f"UPDATE replies SET text = '' WHERE target_id {among} AND text <> ''"
        self._unmention = f"DELETE FROM mentions WHERE seq {among} AND chat_id = $2"

    async def claim(self) -> Erasure | None:
        """The oldest erasure that no node works on, for this node for LEASE_S; None if there is none."""
        user_id = await self._claims.claim()
        if user_id is None:
            return None
        async with self._database.session():
            return erasure_of(await UserErasure.get(user_id=user_id))

    async def hold(self, user_id: int) -> bool:
        """Keep the claim for another LEASE_S; False if another node has taken it."""
        return await self._claims.hold(user_id)

    async def oldest(self) -> int | None:
        """When the oldest erasure that has not ended was requested, in Unix seconds."""
        rows = await self._database.fetch(
            "SELECT min(requested_at) AS oldest FROM user_erasures WHERE finished_at IS NULL"
        )
        oldest: int | None = rows[0]["oldest"]
        return oldest

    async def chats_after(self, user_id: int, chat_id: int) -> tuple[list[int], int | None]:
        """Of the next CHATS chats those in which the user is or has written, and the last one looked at.

        None: there are no more.
        """
        rows = await self._database.fetch(_CHATS, user_id, chat_id)
        return [row["id"] for row in rows if row["is_concerned"]], rows[-1]["id"] if rows else None

    async def advance(self, user_id: int, chat_id: int) -> None:
        """Everything in the chats up to this one is done."""
        async with self._database.transaction():
            await UserErasure.filter(user_id=user_id).update(chat_cursor=chat_id)

    async def leave(self, chat_id: int, user_id: int) -> bool:
        """End the membership, and whatever else the user is to the chat; whether there was one."""
        async with self._database.transaction() as client:
            room = await ChatRoom.select_for_update(no_key=True).get_or_none(id=chat_id)
            if room is None:
                return False
            await FormerMember.filter(chat_id=chat_id, user_id=user_id).delete()
            await Bar.filter(chat_id=chat_id, user_id=user_id).delete()
            was_owner = await settle_owner(room) == user_id
            if not await Membership.filter(chat_id=chat_id, user_id=user_id).delete():
                return False
            await ChatRoom.filter(id=chat_id).update(members_version=F("members_version") + 1)
            successor = await settle_owner(room) if was_owner else None
            await self._note_leaving(client, room, user_id, successor)
        return True

    async def _note_leaving(
        self, client: BaseDBAsyncClient, room: ChatRoom, user_id: int, successor: int | None
    ) -> None:
        if room.is_removed:
            return
        await self._notes.member_removed(client, room.id, room.last_seq, user_id, None)
        if successor is not None:
            await self._notes.changed(client, room.id, room.last_seq, {"owner_id": successor}, None)

    async def erase_messages(self, erasure: Erasure, chat_id: int, after: str) -> str | None:
        """Go through events of the user with higher client_msg_ids, in their order; the last one, None at the end.

        Reactions are taken back first, then messages deleted unless they are kept, which the erasure's row counts.
        """
        user_id = erasure.user_id
        async with self._database.transaction() as client:
            locked = ChatRoom.select_for_update(no_key=True)
            if (room := await locked.get_or_none(id=chat_id)) is None:
                return None
            rows = await client.execute_query_dict(self._database.dialect(_ROWS), [chat_id, user_id, after])
            if not rows:
                return None
            reacted = [row["message_id"] for row in rows if row["kind"] == EventKind.REACTION]
            withdrawn = await self._reactions.withdraw(client, user_id, reacted) if reacted else []
            changes = [
                _Change(EventKind.REACTION, one.message_id, reaction_text(one.key, removed=True), one.counts)
                for one in withdrawn
            ]
            if erasure.messages is Messages.ERASE:
                changes += await self._delete(client, chat_id, rows)
            if changes and not room.is_removed:  # nothing comes after the removal of a chat
                await self._append(client, room, user_id, changes)
        last: str = rows[-1]["client_msg_id"]
        return last

    async def _delete(self, client: BaseDBAsyncClient, chat_id: int, rows: list[Row]) -> list[_Change]:
        ids = self._database.ids(row["id"] for row in rows)
        await client.execute_query(self._database.dialect(self._blank), [ids, b""])
        texts = [row["id"] for row in rows if row["kind"] == EventKind.MESSAGE and not row["is_deleted"]]
        await self._reactions.clear(client, texts)
        await client.execute_query(self._database.dialect(self._unquote), [self._database.ids(texts)])
        seqs = self._database.ids(row["seq"] for row in rows)
        await client.execute_query(self._database.dialect(self._unmention), [seqs, chat_id])
        return [_Change(EventKind.DELETE, message_id) for message_id in texts]

    async def _append(self, client: BaseDBAsyncClient, room: ChatRoom, user_id: int, changes: list[_Change]) -> None:
        moment = datetime.now(UTC)
        created_at = moment if self._database.postgres is not None else moment.isoformat(" ")
        first, last = room.last_seq + 1, room.last_seq + len(changes)
        events = [_columns(one, room.id, seq, user_id, created_at) for seq, one in enumerate(changes, first)]
        await client.execute_many(self._database.dialect(_INSERT), events)
        await ChatRoom.filter(id=room.id).update(last_seq=last)
        deletions = sum(one.kind is EventKind.DELETE for one in changes)
        await UserErasure.filter(user_id=user_id).update(erased_messages=F("erased_messages") + deletions)

    async def delete_lines(self, user_id: int) -> int:
        """Delete lines of the user's echo transcripts, and mentions of the user; returns how many."""
        async with self._database.transaction() as client:
            sql = self._database.dialect
            rows = await client.execute_query_dict(sql(_LINES), [user_id])
            if rows:
                delete = f"DELETE FROM transcripts WHERE id {self._database.among('$1')}"
                await client.execute_query(sql(delete), [self._database.ids(row["id"] for row in rows)])
                await client.execute_query(sql(ADD_SIZE), [_DELETED_SHARD, -sum(row["bytes"] for row in rows)])
            mentions = await client.execute_query_dict(sql(_MENTIONS), [user_id])
        return len(rows) + len(mentions)

    async def finish(self, user_id: int) -> bool:
        """Remove what belongs to no chat, and end the erasure, unless it is younger than SETTLE_S."""
        now = self._now()
        async with self._database.transaction() as client:
            row = await UserErasure.get(user_id=user_id)
            if row.requested_at > now - SETTLE_S or await Membership.exists(user_id=user_id):
                return False
            await Block.filter(user_id=user_id).delete()
            await Block.filter(blocked_id=user_id).delete()
            await StaffMember.filter(user_id=user_id).delete()
            await LastSeen.filter(user_id=user_id).delete()
            await clear_credentials(self._database, client, user_id)
            await UserErasure.filter(user_id=user_id).update(finished_at=int(now), claimed_until=0)
        return True

    async def forget_identities(self) -> None:
        """Clear the digests of identities whose last tokens have expired."""
        async with self._database.transaction():
            old = UserErasure.filter(requested_at__lt=int(self._now()) - KEPT_S).exclude(identity_digest="")
            await old.update(identity_digest="")


def _columns(one: _Change, chat_id: int, seq: int, user_id: int, created_at: datetime | str) -> list[object]:
    identity = user_id, secrets.token_hex(16), b""
    return [chat_id, seq, one.kind.value, one.message_id, *identity, False, created_at, one.reaction, one.counts]
