"""Where chats stand: the ends of their logs, in the present history."""

from collections.abc import Sequence

from storage.database.database import Database, Row
from storage.database.epoch import epoch_of
from storage.records import ChatPosition, Positions


class PositionReader:
    """Reads the positions of many chats, and the epoch, as of one moment."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = f"""
            WITH history AS MATERIALIZED (SELECT {database.epoch_sql} AS epoch FROM store_identity s)
            SELECT epoch, id, last_seq, members_version, version, first_seq
            FROM history LEFT JOIN chats ON id {database.among("$1")}"""

    async def read(self, chat_ids: Sequence[int]) -> Positions:
        """The positions of these chats; unknown ids are left out.

        Raises: StorageUnavailable.
        """
        rows = await self._database.fetch(self._sql, self._database.ids(chat_ids))
        chats = {row["id"]: position_of(row) for row in rows if row["id"] is not None}
        return Positions(epoch_of(rows[0]["epoch"]), chats)


def position_of(row: Row) -> ChatPosition:
    """The position of a chat, from its row."""
    return ChatPosition(row["last_seq"], row["members_version"], row["version"], row["first_seq"])
