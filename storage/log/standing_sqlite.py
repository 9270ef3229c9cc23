"""Who may write in a chat, on SQLite: what `chat_log_commit.sql` checks of a member and of the rules of the chat."""

import math
import sqlite3
from dataclasses import dataclass
from typing import Final

from storage.records import SYSTEM, ChatKind, EventKind, NewEvent, Refusal, Role, SlowMode

_MEMBER: Final = """
SELECT m.role, m.muted_until, m.is_blocked, m.last_sent_at, c.is_frozen, c.slow_mode_s, c.kind, c.creator_id
FROM memberships m JOIN chats c ON c.id = m.chat_id AND NOT c.is_removed WHERE m.chat_id = ? AND m.user_id = ?
"""
_CHAT: Final = "SELECT 1 FROM chats WHERE id = ? AND NOT is_removed"
_SENT: Final = "UPDATE memberships SET last_sent_at = ? WHERE chat_id = ? AND user_id = ?"


@dataclass(slots=True)
class SenderStanding:
    """A sender in a chat. `silence`: why the sender may not write now, if so; times are in Unix milliseconds."""

    silence: Refusal | None = None
    is_frozen: bool = False
    slow_mode_ms: int = 0
    last_sent_at: int = 0
    may_moderate: bool = False

    def check(self, connection: sqlite3.Connection, event: NewEvent, now_ms: int) -> Refusal | SlowMode | None:
        """Why the event is refused, or None; the time of a message in slow mode is noted."""
        if self.silence is not None and not _withdraws(event):
            return self.silence
        if self.is_frozen:
            return Refusal.CHAT_FROZEN
        if not self.slow_mode_ms or event.kind != EventKind.MESSAGE:
            return None
        wait_ms = self.last_sent_at + self.slow_mode_ms - now_ms
        if wait_ms > 0:
            return SlowMode(math.ceil(wait_ms / 1000))
        self.last_sent_at = now_ms
        connection.execute(_SENT, (now_ms, event.chat_id, event.sender.id))
        return None


def standing_of(connection: sqlite3.Connection, chat_id: int, user_id: int, now_ms: int) -> SenderStanding | None:
    """The sender's place; None without a membership, or if there is no such chat."""
    if user_id == SYSTEM.id:
        return None if connection.execute(_CHAT, (chat_id,)).fetchone() is None else SenderStanding()
    row = connection.execute(_MEMBER, (chat_id, user_id)).fetchone()
    if row is None:
        return None
    silence = _silence(row, now_ms)
    is_owner = row["kind"] != ChatKind.DIRECT and row["creator_id"] == user_id
    if is_owner or row["role"] == Role.MODERATOR:
        return SenderStanding(silence, may_moderate=True)
    if silence is not None:
        return SenderStanding(silence, bool(row["is_frozen"]))
    return SenderStanding(None, bool(row["is_frozen"]), row["slow_mode_s"] * 1000, row["last_sent_at"])


def _silence(row: sqlite3.Row, now_ms: int) -> Refusal | None:
    if row["is_blocked"]:
        return Refusal.BLOCKED
    if row["role"] == Role.READER:
        return Refusal.READER
    return Refusal.MUTED if row["muted_until"] > now_ms // 1000 else None


def _withdraws(event: NewEvent) -> bool:
    """Whether the event takes back a message or a reaction, which those may who may not write."""
    return event.kind == EventKind.DELETE or (event.kind == EventKind.REACTION and event.text.startswith("-"))
