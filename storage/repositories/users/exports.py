"""What is stored of one user, page by page, for an export.

Keeps: a page is one query of at most PAGE rows, whose cost does not depend on what others have stored. Messages are
found in the chats that the user is in or has left.
"""

from typing import Any, Final

from storage.database.database import Database, Row
from storage.log.event_rows import moment_of

PAGE: Final = 200

_CHATS: Final = f"""
    SELECT c.id, c.kind, c.title, c.created_at, m.role, m.read_seq, m.joined_at FROM (
        SELECT chat_id FROM memberships WHERE user_id = $1 AND chat_id > $2
        UNION SELECT chat_id FROM former_members WHERE user_id = $1 AND chat_id > $2
        ORDER BY chat_id LIMIT {PAGE}) own
    JOIN chats c ON c.id = own.chat_id LEFT JOIN memberships m ON m.chat_id = c.id AND m.user_id = $1 ORDER BY c.id"""
_EVENTS: Final = f"""
    SELECT id, chat_id, seq, kind, message_id, client_msg_id, text, data, is_edited, is_deleted, reaction, created_at
    FROM chat_log WHERE chat_id = $2 AND sender_id = $1 AND client_msg_id > $3 ORDER BY client_msg_id LIMIT {PAGE}"""
_BLOCKS: Final = (
    f"SELECT blocked_id FROM blocks WHERE user_id = $1 AND blocked_id > $2 ORDER BY blocked_id LIMIT {PAGE}"
)
_SESSIONS: Final = """
    SELECT id, created_at, rotated_at, expires_at, user_agent FROM login_sessions WHERE user_id = $1 ORDER BY id"""
_SESSIONS_IN_POSTGRES: Final = "SELECT * FROM sessions_of($1)"
"""A function, since the role of a gateway may not read the table, which has secrets too."""


class Exports:
    """Every method raises StorageUnavailable if the database does not respond in time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sessions = _SESSIONS if database.postgres is None else _SESSIONS_IN_POSTGRES

    async def chats(self, user_id: int, after: int) -> list[dict[str, Any]]:
        """The next chats with higher ids; `role` is None in one that the user has left."""
        return list(map(_in_json, await self._database.fetch(_CHATS, user_id, after)))

    async def events(self, user_id: int, chat_id: int, after: str) -> list[dict[str, Any]]:
        """The next events of the user in the chat, in the order of their client_msg_ids."""
        return list(map(_in_json, await self._database.fetch(_EVENTS, user_id, chat_id, after)))

    async def blocks(self, user_id: int, after: int) -> list[int]:
        """The next users whom the user has blocked."""
        return [row["blocked_id"] for row in await self._database.fetch(_BLOCKS, user_id, after)]

    async def sessions(self, user_id: int) -> list[dict[str, Any]]:
        """The user's logins that can be renewed; times are in Unix seconds."""
        return [dict(row) for row in await self._database.fetch(self._sessions, user_id)]


def _in_json(row: Row) -> dict[str, Any]:
    shown = dict(row)
    for name in ("created_at", "joined_at"):
        if shown.get(name) is not None:
            shown[name] = moment_of(shown[name])
    for name in ("is_edited", "is_deleted"):
        if name in shown:
            shown[name] = bool(shown[name])
    return shown
