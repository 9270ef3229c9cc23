"""Commit batches on SQLite, row by row, in the writer's own thread."""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from storage.database.sqlite_writer import SqliteWriter
from storage.log.commit import MAX_EDITS, digest_of
from storage.log.event_rows import SELECT_EVENT, event_of, mentions_of, person_of, to_microseconds
from storage.log.reactions_sqlite import clear_reactions, react
from storage.log.references_sqlite import (
    add_mentions,
    add_reply,
    forget,
    has_target,
    mentioned_members,
    read_replied_to,
)
from storage.log.standing_sqlite import SenderStanding, standing_of
from storage.reaction_records import Unchanged
from storage.records import SYSTEM, ChatEvent, Committed, EventKind, NewEvent, Outcome, Refusal

_KNOWN = SELECT_EVENT + "WHERE e.chat_id = ? AND e.sender_id = ? AND e.client_msg_id = ?"
_STORED = SELECT_EVENT + "WHERE e.chat_id = ? AND e.seq = ?"
_PERSON = "SELECT id, login, first_name, last_name, display_name FROM users WHERE id = ?"
_LAST_SEQ = "SELECT last_seq FROM chats WHERE id = ?"
_TARGET = """
SELECT sender_id, seq, is_deleted, is_edited, edit_count, data, reply_to, reply_count, mentions, created_at, reactions
FROM chat_log
WHERE id = ? AND chat_id = ? AND kind = 'message'
"""
_UPDATE_TARGET = """
UPDATE chat_log SET text = ?, data = ?, mentions = ?, is_edited = ?, is_deleted = ?, edit_count = edit_count + ?
WHERE id = ?
"""
_MOVE = "UPDATE chats SET last_seq = ? WHERE id = ?"
_NOTE_MESSAGE = "UPDATE chats SET last_message_id = ?, last_activity = ? WHERE id = ?"
_LAST_ID = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'chat_log'"
_INSERT = """
INSERT INTO chat_log (id, chat_id, seq, kind, message_id, sender_id, client_msg_id, digest, text,
    data, reply_to, mentions, is_edited, is_deleted, created_at, reaction, reactions)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?)
"""


class SqliteCommit:
    """The only writer of the log in this process."""

    def __init__(self, path: str) -> None:
        self._writer = SqliteWriter(path, "chat-log")

    @property
    def most_at_once(self) -> int:
        """How many batches can usefully be committed at the same time."""
        return 1

    async def commit(self, events: Sequence[NewEvent]) -> list[Outcome]:
        """The outcome of each event, as in `Commit`."""
        return await self._writer.write(lambda connection: _stored(connection, events))

    async def close(self) -> None:
        """Close the connection after the running commit has ended."""
        await self._writer.close()


def _stored(connection: sqlite3.Connection, events: Sequence[NewEvent]) -> list[Outcome]:
    batch = _Batch(connection)
    outcomes = [batch.store(event) for event in events]
    batch.finish()
    return outcomes


class _Batch:
    """One transaction: what `chat_log_commit.sql` does, row by row (a statement costs no round trip here)."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._execute = connection.execute
        self._executemany = connection.executemany
        self._last_id: int = self._execute(_LAST_ID).fetchone()[0]
        self._last_seqs: dict[int, int] = {}
        self._last_messages: dict[int, int] = {}
        self._standings: dict[tuple[int, int], SenderStanding | None] = {}
        self._stored_at = datetime.now(UTC)
        self._now_ms = int(self._stored_at.timestamp() * 1000)

    def store(self, event: NewEvent) -> Outcome:
        place = self._standing(event.chat_id, event.sender.id)
        if place is None:
            return Refusal.NOT_A_MEMBER
        digest = digest_of(event)
        known = self._execute(_KNOWN, (event.chat_id, event.sender.id, event.client_msg_id)).fetchone()
        if known is not None:
            if known["digest"] != digest:
                return Refusal.ID_REUSED
            first = event_of(known)
            renewed = replace(first, by=event.sender) if first.by else replace(first, sender=event.sender)
            return Committed(self._with_target(renewed, known["reply_to"]), duplicate=True)
        if (refusal := place.check(self._connection, event, self._now_ms)) is not None:
            return refusal
        if event.kind == EventKind.MESSAGE:
            if not has_target(self._connection, event):
                return Refusal.NO_SUCH_TARGET
            stored = self._append(event, digest, self._stored_at)
            self._last_messages[event.chat_id] = stored.message_id
            return Committed(stored)
        return self._change(event, digest, place)

    def finish(self) -> None:
        """Write the ends of the chats' logs back."""
        self._executemany(_MOVE, ((seq, chat_id) for chat_id, seq in self._last_seqs.items()))
        activity = to_microseconds(self._stored_at)
        self._executemany(_NOTE_MESSAGE, ((last, activity, chat_id) for chat_id, last in self._last_messages.items()))

    def _standing(self, chat_id: int, user_id: int) -> SenderStanding | None:
        pair = chat_id, user_id
        if pair not in self._standings:
            self._standings[pair] = standing_of(self._connection, chat_id, user_id, self._now_ms)
        return self._standings[pair]

    def _change(self, event: NewEvent, digest: bytes, place: SenderStanding) -> Outcome:
        target = self._execute(_TARGET, (event.message_id, event.chat_id)).fetchone()
        if target is None or target["is_deleted"]:
            return Refusal.NO_SUCH_MESSAGE
        if event.kind == EventKind.REACTION:
            return self._react(event, digest, target["reactions"])
        is_foreign = target["sender_id"] != event.sender.id
        is_deleted = event.kind == EventKind.DELETE
        if is_foreign and event.sender.id != SYSTEM.id and not (is_deleted and place.may_moderate):
            return Refusal.NOT_THE_AUTHOR
        if not is_deleted and target["edit_count"] >= MAX_EDITS:
            return Refusal.EDIT_LIMIT
        text, data, mentions = event.text, event.data or target["data"], target["mentions"]
        if is_deleted:
            text, data, mentions = "", None, None
            forget(self._connection, event, target)
        is_edited = bool(target["is_edited"]) or not is_deleted
        self._execute(_UPDATE_TARGET, (text, data, mentions, is_edited, is_deleted, not is_deleted, event.message_id))
        reactions = target["reactions"]
        if is_deleted and reactions is not None:
            clear_reactions(self._connection, event.message_id)
            reactions = None
        created_at = datetime.fromisoformat(target["created_at"])
        stored = self._append(event, digest, created_at)
        if is_foreign:
            author = person_of(self._execute(_PERSON, (target["sender_id"],)).fetchone(), "id")
            stored = replace(stored, sender=author, by=event.sender)
        state = {"text": text, "data": data, "mentions": mentions_of(mentions), "reactions": reactions}
        stored = replace(stored, is_edited=is_edited, is_deleted=is_deleted, **state)
        return Committed(self._with_target(stored, target["reply_to"]))

    def _with_target(self, event: ChatEvent, reply_to: int | None) -> ChatEvent:
        if reply_to is None:
            return event
        return replace(event, reply_to=read_replied_to(self._connection, event.message_id))

    def _react(self, event: NewEvent, digest: bytes, before: str | None) -> Outcome:
        counts = react(self._connection, event, before)
        if isinstance(counts, Unchanged | Refusal):
            return counts
        stored = self._append(event, digest, self._stored_at, counts)
        row = self._execute(_STORED, (event.chat_id, stored.seq)).fetchone()
        return Committed(self._with_target(event_of(row), row["reply_to"]))

    def _append(self, event: NewEvent, digest: bytes, created_at: datetime, counts: str | None = None) -> ChatEvent:
        """Give the event the next seq of its chat. Text, data and `created_at` are those of the row of its message.

        `counts` are those after a reaction.
        """
        self._last_id += 1
        seq = self._last_seqs[event.chat_id] = self._last_seq(event.chat_id) + 1
        message_id, text, data, mentions = event.message_id, "", None, None
        if message_id is None:
            message_id, text, data = self._last_id, event.text, event.data
            mentions = mentioned_members(self._connection, event)
        place = self._last_id, event.chat_id, seq, event.kind, message_id
        identity = event.sender.id, event.client_msg_id, digest
        reacted = event.text if event.kind == EventKind.REACTION else None, counts
        content = text, data, event.reply_to, mentions
        self._execute(_INSERT, (*place, *identity, *content, self._stored_at.isoformat(" "), *reacted))
        if event.reply_to is not None:
            add_reply(self._connection, event, message_id, seq)
        if mentions is not None:
            add_mentions(self._connection, event, seq, mentions)
        stored = ChatEvent(
            chat_id=event.chat_id,
            seq=seq,
            kind=event.kind,
            message_id=message_id,
            sender=event.sender,
            text=event.text,
            created_at=created_at,
            is_edited=False,
            is_deleted=False,
            client_msg_id=event.client_msg_id,
            data=event.data,
            mentions=mentions_of(mentions),
        )
        return self._with_target(stored, event.reply_to)

    def _last_seq(self, chat_id: int) -> int:
        if (seq := self._last_seqs.get(chat_id)) is None:
            seq = self._execute(_LAST_SEQ, (chat_id,)).fetchone()["last_seq"]
        return seq
