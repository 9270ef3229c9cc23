"""The first members of many chats at once."""

from collections.abc import Sequence

from storage.database.database import Database


class MemberIds:
    """Every method raises StorageUnavailable if the database does not respond in time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        one = "SELECT user_id FROM memberships WHERE chat_id = {chat} ORDER BY user_id LIMIT $2"
        self._one = one.format(chat="$1")
        self._all = f"""
            SELECT c.id AS chat_id, m.user_id FROM unnest($1::bigint[]) AS c (id)
            CROSS JOIN LATERAL ({one.format(chat="c.id")}) AS m"""

    async def first(self, chat_ids: Sequence[int], limit: int) -> dict[int, list[int]]:
        """The `limit` members with the lowest ids of each chat."""
        found: dict[int, list[int]] = {chat_id: [] for chat_id in chat_ids}
        if self._database.postgres is None:
            for chat_id in chat_ids:
                found[chat_id] = [row["user_id"] for row in await self._database.fetch(self._one, chat_id, limit)]
        elif found:
            for row in await self._database.fetch(self._all, list(found), limit):
                found[row["chat_id"]].append(row["user_id"])
        return found
