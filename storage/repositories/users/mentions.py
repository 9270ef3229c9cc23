"""Mentions of a user that the user has not read."""

from collections.abc import Sequence
from typing import Final

from storage.database.database import Database

MAX_MENTIONS: Final = 100
"""The most unread mentions of a chat that are counted; it stands for as many or more."""

UNREAD_MENTIONS: Final = f"""(
    SELECT count(*) FROM (
        SELECT 1 FROM mentions x WHERE x.user_id = m.user_id AND x.chat_id = m.chat_id AND x.seq > m.read_seq
        LIMIT {MAX_MENTIONS}) AS unread_mentions
)"""
"""SQL of their number in the chat of the membership `m`."""


class Mentions:
    """Every method raises StorageUnavailable if the database does not respond in time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unread = (
            f"SELECT m.chat_id, {UNREAD_MENTIONS} AS mentions FROM memberships m "
            f"WHERE m.user_id = $1 AND m.chat_id {database.among('$2')}"
        )

    async def unread(self, user_id: int, chat_ids: Sequence[int]) -> dict[int, int]:
        """The number of the user's unread mentions in each of these chats of which they are a member."""
        rows = await self._database.fetch(self._unread, user_id, self._database.ids(chat_ids))
        return {row["chat_id"]: row["mentions"] for row in rows}
