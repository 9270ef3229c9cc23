"""Reading of what messages refer to: the messages that they reply to."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from storage.database.database import Database, Row
from storage.log.commit import QUOTED
from storage.log.event_rows import NO_REPLIES, person_of
from storage.records import RepliedTo

# Texts of deleted messages were cleared; those of erased ones are hidden here.
SELECT_REPLIED_TO: Final = f"""
SELECT r.message_id, r.target_id, u.id AS sender_id, u.login, u.first_name, u.last_name, u.display_name,
    CASE WHEN t.id IS NULL OR t.is_deleted THEN '' ELSE coalesce(r.text, substr(t.text, 1, {QUOTED})) END AS text
FROM replies r LEFT JOIN chat_log t ON t.id = r.target_id LEFT JOIN users u ON u.id = t.sender_id
WHERE r.message_id """
"""To be completed by a condition of the ids of the replies."""

RepliedToById = Mapping[int, RepliedTo]
"""By the id of the reply."""


def replied_to(rows: Iterable[Any]) -> RepliedToById:
    """The targets in rows of SELECT_REPLIED_TO, of either driver."""
    return {
        row["message_id"]: RepliedTo(
            row["target_id"], None if row["sender_id"] is None else person_of(row, "sender_id"), row["text"]
        )
        for row in rows
    }


async def targets_of(database: Database, rows: Iterable[Row]) -> RepliedToById:
    """What the replies among rows of SELECT_EVENT reply to; the store is read only if there are any.

    Raises: StorageUnavailable.
    """
    replies = {row["message_id"] for row in rows if row["reply_to"] is not None}
    if not replies:
        return NO_REPLIES
    return replied_to(await database.fetch(SELECT_REPLIED_TO + database.among("$1"), database.ids(replies)))
