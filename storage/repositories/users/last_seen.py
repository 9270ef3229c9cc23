"""When users were seen last, and who may know. Implements `gateway.interfaces.client_registry.LastSeenStore`."""

from collections.abc import Mapping, Sequence

from storage.database.database import Database
from storage.records import ChatKind


def write_sql(database: Database) -> str:
    """The statement that records when users were seen; in id order, since two nodes may write the same users."""
    return f"""
        INSERT INTO last_seen (user_id, seen_at)
        SELECT p.a, p.b FROM {database.pairs_table()}
        WHERE EXISTS (SELECT 1 FROM users u WHERE u.id = p.a AND u.erased_at IS NULL) ORDER BY p.a
        ON CONFLICT (user_id) DO UPDATE SET seen_at = excluded.seen_at WHERE last_seen.seen_at < excluded.seen_at
        RETURNING user_id"""


class LastSeenRepository:
    """Each method is one statement, and raises StorageUnavailable if the database does not respond in time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._write = write_sql(database)
        seen = "SELECT u.id, s.seen_at FROM users u LEFT JOIN last_seen s ON s.user_id = u.id"
        self._all = f"{seen} WHERE u.id {database.among('$1')}"
        self._visible = f"""
            {seen} WHERE u.id {database.among("$2")} AND (u.id = $1 OR (
                NOT EXISTS (SELECT 1 FROM blocks b WHERE b.user_id = u.id AND b.blocked_id = $1)
                AND EXISTS (
                    SELECT 1 FROM memberships m
                    JOIN memberships mine ON mine.chat_id = m.chat_id AND mine.user_id = $1
                    JOIN chats c ON c.id = m.chat_id
                    WHERE m.user_id = u.id AND c.kind <> '{ChatKind.PUBLIC}'
                )
            ))"""

    async def write(self, seen: Mapping[int, int]) -> None:
        """Record when these users were seen, by id, in Unix ms.

        An earlier time than a stored one changes nothing, and nothing is recorded of a user who is erased.
        """
        await self._database.write(self._write, *self._database.pairs(seen.items()))

    async def of(self, user_ids: Sequence[int], viewer_id: int | None) -> dict[int, int | None]:
        """When the users whose presence the viewer may see were last seen, in Unix ms; None if they never were.

        A viewer may see itself, and users who share a chat with it that is not public and have not blocked it; a
        service (None) may see all.
        """
        ids = self._database.ids(user_ids)
        if viewer_id is None:
            rows = await self._database.fetch(self._all, ids)
        else:
            rows = await self._database.fetch(self._visible, viewer_id, ids)
        return {row["id"]: row["seen_at"] for row in rows}
