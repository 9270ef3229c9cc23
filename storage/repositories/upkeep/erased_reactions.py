"""The reactions of an erased user: each is taken back by an event, as if the user had removed it."""

import json
from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from tortoise.backends.base.client import BaseDBAsyncClient

from storage.database.database import Database
from storage.reaction_records import NO_COUNTS

_TAKEN: Final = "SELECT r.id, r.message_id, r.key FROM reactions r WHERE r.user_id = $2 AND r.message_id {among}"
_COUNTS: Final = "SELECT reactions FROM chat_log WHERE id = $1"
_KEEP_COUNTS: Final = "UPDATE chat_log SET reactions = $2 WHERE id = $1"


class Withdrawal(Struct, frozen=True):
    """A reaction that was removed from a message, which now has these counts (JSON)."""

    message_id: int
    key: str
    counts: str


class ErasedReactions:
    """Removes reactions within a transaction that holds the lock of their chat."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._taken = database.dialect(_TAKEN.format(among=database.among("$1")))
        self._delete = database.dialect(f"DELETE FROM reactions WHERE id {database.among('$1')}")
        self._delete_all = database.dialect(f"DELETE FROM reactions WHERE message_id {database.among('$1')}")
        self._forget = database.dialect(f"UPDATE chat_log SET reactions = NULL WHERE id {database.among('$1')}")

    async def withdraw(self, client: BaseDBAsyncClient, user_id: int, message_ids: Sequence[int]) -> list[Withdrawal]:
        """Remove the user's reactions to these messages."""
        rows = await client.execute_query_dict(self._taken, [self._database.ids(message_ids), user_id])
        withdrawn = []
        for row in rows:
            message_id, key = row["message_id"], row["key"]
            (message,) = await client.execute_query_dict(self._database.dialect(_COUNTS), [message_id])
            tally: dict[str, int] = json.loads(message["reactions"] or NO_COUNTS)
            tally[key] = tally.get(key, 1) - 1
            counts = json.dumps({name: count for name, count in tally.items() if count > 0}, ensure_ascii=False)
            kept = None if counts == NO_COUNTS else counts
            await client.execute_query(self._database.dialect(_KEEP_COUNTS), [message_id, kept])
            withdrawn.append(Withdrawal(message_id, key, counts))
        if rows:
            await client.execute_query(self._delete, [self._database.ids(row["id"] for row in rows)])
        return withdrawn

    async def clear(self, client: BaseDBAsyncClient, message_ids: Sequence[int]) -> None:
        """Remove everybody's reactions to messages that are deleted."""
        ids = self._database.ids(message_ids)
        await client.execute_query(self._delete_all, [ids])
        await client.execute_query(self._forget, [ids])
