"""Reading of events from the log: a join of the event's row, its message's row, and the rows of their senders."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from storage.reaction_records import NO_COUNTS, Reaction, reaction_of
from storage.records import ChatEvent, EventKind, Person, RepliedTo

NO_REPLIES: Final[Mapping[int, RepliedTo]] = {}

_UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
PERSON_COLUMNS = "u.id, u.login, u.first_name, u.last_name, u.display_name"
"""The columns of a user `u` that `person_of` reads."""
# Text, data and state are the present ones of the message: they are stored only in its own row. Where retention has
# removed that row, an event says that the message is deleted, and names only the user who caused the event.
SELECT_EVENT = """
SELECT e.chat_id, e.seq, e.kind, e.client_msg_id, e.digest,
    e.message_id, coalesce(m.text, '') AS text, m.data, m.reply_to, m.reply_count, m.mentions,
    coalesce(m.created_at, e.created_at) AS created_at, m.is_edited, coalesce(m.is_deleted, true) AS is_deleted,
    m.reactions, e.reaction, e.reactions AS counts, e.sender_id AS actor_id,
    u.id AS sender_id, u.login, u.first_name, u.last_name, u.display_name,
    b.id AS by_id, b.login AS by_login, b.first_name AS by_first_name, b.last_name AS by_last_name,
    b.display_name AS by_display_name
FROM chat_log e LEFT JOIN chat_log m ON m.id = e.message_id JOIN users u ON u.id = coalesce(m.sender_id, e.sender_id)
LEFT JOIN users b ON b.id = nullif(e.sender_id, coalesce(m.sender_id, e.sender_id))
"""


def person_of(row: Mapping[str, Any], id_column: str) -> Person:
    """The person in a row that has the columns of a user; `id_column` is the name of the id column."""
    return Person(row[id_column], row["login"], row["first_name"], row["last_name"], row["display_name"])


def changer_of(row: Mapping[str, Any]) -> Person | None:
    """Who has changed the message of somebody else, in a row that has the columns `by_…`."""
    if row["by_id"] is None:
        return None
    names = row["by_login"], row["by_first_name"], row["by_last_name"], row["by_display_name"]
    return Person(row["by_id"], *names)


def mentions_of(text: str | None) -> tuple[int, ...]:
    """The ids in the column `mentions`."""
    return () if text is None else tuple(json.loads(text))


def event_of(row: Mapping[str, Any], replied_to: Mapping[int, RepliedTo] = NO_REPLIES) -> ChatEvent:
    """The event in a row of SELECT_EVENT; `replied_to` has the targets of replies, by the id of the reply."""
    return ChatEvent(
        chat_id=row["chat_id"],
        seq=row["seq"],
        kind=EventKind(row["kind"]),
        message_id=row["message_id"],
        sender=person_of(row, "sender_id"),
        text=row["text"],
        created_at=moment_of(row["created_at"]),
        is_edited=bool(row["is_edited"]),
        is_deleted=bool(row["is_deleted"]),
        client_msg_id=row["client_msg_id"],
        data=row["data"],
        by=changer_of(row),
        reactions=row["reactions"],
        reaction=_reaction_of(row),
        reply_to=None if row["reply_to"] is None else replied_to.get(row["message_id"]),
        mentions=mentions_of(row["mentions"]),
    )


def _reaction_of(row: Mapping[str, Any]) -> Reaction | None:
    if row["reaction"] is None:
        return None
    return reaction_of(row["reaction"], row["actor_id"], row["counts"] or NO_COUNTS)


def moment_of(value: datetime | str) -> datetime:
    """A timestamp of the database (SQLite: ISO 8601 text) as an aware datetime in UTC."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def to_microseconds(moment: datetime) -> int:
    """An aware datetime in Unix microseconds."""
    return (moment - _UNIX_EPOCH) // timedelta(microseconds=1)


def from_microseconds(value: int) -> datetime:
    """Unix microseconds as an aware datetime in UTC."""
    return _UNIX_EPOCH + timedelta(microseconds=value)
