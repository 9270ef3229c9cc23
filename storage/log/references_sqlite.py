"""What `chat_log_commit.sql` does with replies and mentions, on SQLite: in the transaction of a batch."""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from storage.log.commit import QUOTED, SNAPSHOTS
from storage.log.references import SELECT_REPLIED_TO, replied_to
from storage.records import NewEvent, RepliedTo

_TARGET = "SELECT text, reply_count FROM chat_log WHERE id = ? AND chat_id = ? AND kind = 'message'"
_COUNT = "UPDATE chat_log SET reply_count = reply_count + 1 WHERE id = ?"
_ADD_REPLY = "INSERT INTO replies (message_id, target_id, seq, text) VALUES (?, ?, ?, ?)"
_CLEAR_REPLIES = """
UPDATE replies SET text = '' WHERE message_id IN (
    SELECT message_id FROM replies WHERE target_id = ? ORDER BY seq LIMIT ?)
"""
_MEMBERS = """
SELECT user_id FROM memberships WHERE chat_id = ? AND user_id IN (SELECT value FROM json_each(?)) ORDER BY user_id
"""
_ADD_MENTION = "INSERT INTO mentions (user_id, chat_id, seq) VALUES (?, ?, ?)"
_REMOVE_MENTION = "DELETE FROM mentions WHERE user_id = ? AND chat_id = ? AND seq = ?"


def has_target(connection: sqlite3.Connection, event: NewEvent) -> bool:
    """Whether the message to which this one replies is in its chat, if it replies to one."""
    return event.reply_to is None or _target(connection, event) is not None


def _target(connection: sqlite3.Connection, event: NewEvent) -> Mapping[str, Any] | None:
    row: Mapping[str, Any] | None = connection.execute(_TARGET, (event.reply_to, event.chat_id)).fetchone()
    return row


def add_reply(connection: sqlite3.Connection, event: NewEvent, message_id: int, seq: int) -> None:
    """Note that this message replies to another one."""
    target = _target(connection, event)
    if target is not None:
        text = target["text"][:QUOTED] if target["reply_count"] < SNAPSHOTS else None
        connection.execute(_ADD_REPLY, (message_id, event.reply_to, seq, text))
        connection.execute(_COUNT, (event.reply_to,))


def read_replied_to(connection: sqlite3.Connection, message_id: int) -> RepliedTo | None:
    """What this message replies to."""
    return replied_to(connection.execute(SELECT_REPLIED_TO + "= ?", (message_id,)).fetchall()).get(message_id)


def mentioned_members(connection: sqlite3.Connection, event: NewEvent) -> str | None:
    """The members among the users whom this message mentions, as the column `mentions` has them."""
    if not event.mentions:
        return None
    rows = connection.execute(_MEMBERS, (event.chat_id, json.dumps(event.mentions))).fetchall()
    return json.dumps([row["user_id"] for row in rows]) if rows else None


def add_mentions(connection: sqlite3.Connection, event: NewEvent, seq: int, members: str) -> None:
    """Note the mentions of these members, but for the sender."""
    others = [user_id for user_id in json.loads(members) if user_id != event.sender.id]
    connection.executemany(_ADD_MENTION, ((user_id, event.chat_id, seq) for user_id in others))


def forget(connection: sqlite3.Connection, event: NewEvent, target: Mapping[str, Any]) -> None:
    """Clear what the replies to a deleted message show of it, and its mentions; `target` is its row."""
    if target["reply_count"]:
        connection.execute(_CLEAR_REPLIES, (event.message_id, SNAPSHOTS))
    if target["mentions"] is not None:
        mentions = json.loads(target["mentions"])
        connection.executemany(_REMOVE_MENTION, ((user, event.chat_id, target["seq"]) for user in mentions))
