"""What `chat_log_react.sql` does, on SQLite: one reaction in the transaction of a batch."""

import json
import sqlite3

from storage.reaction_records import MAX_KEYS_A_MESSAGE, MAX_REACTIONS_A_USER, NO_COUNTS, Unchanged, reaction_of
from storage.records import NewEvent, Refusal

_OWN = "SELECT key FROM reactions WHERE message_id = ? AND user_id = ?"
_ADD = "INSERT INTO reactions (chat_id, message_id, user_id, key) VALUES (?, ?, ?, ?)"
_REMOVE = "DELETE FROM reactions WHERE message_id = ? AND user_id = ? AND key = ?"
_COUNT = "UPDATE chat_log SET reactions = ? WHERE id = ?"


def react(connection: sqlite3.Connection, event: NewEvent, before: str | None) -> str | Unchanged | Refusal:
    """Add or remove the reaction, and return the message's counts, which were `before`."""
    message_id, user_id = event.message_id or 0, event.sender.id
    reaction = reaction_of(event.text, user_id, before or NO_COUNTS)
    key = reaction.key
    tally: dict[str, int] = json.loads(reaction.counts)
    own = {row["key"] for row in connection.execute(_OWN, (message_id, user_id))}
    if reaction.removed is not (key in own):
        return Unchanged(message_id, reaction.counts)
    if reaction.removed:
        connection.execute(_REMOVE, (message_id, user_id, key))
        tally[key] -= 1
    elif len(own) >= MAX_REACTIONS_A_USER or (key not in tally and len(tally) >= MAX_KEYS_A_MESSAGE):
        return Refusal.REACTION_LIMIT
    else:
        connection.execute(_ADD, (event.chat_id, message_id, user_id, key))
        tally[key] = tally.get(key, 0) + 1
    counts = _counts(tally)
    connection.execute(_COUNT, (None if counts == NO_COUNTS else counts, message_id))
    return counts


def clear_reactions(connection: sqlite3.Connection, message_id: int | None) -> None:
    """Remove all reactions to a message that is deleted."""
    connection.execute("DELETE FROM reactions WHERE message_id = ?", (message_id,))
    connection.execute(_COUNT, (None, message_id))


def _counts(tally: dict[str, int]) -> str:
    """The counts as JSON, in the order of PostgreSQL's jsonb."""
    keys = sorted((key for key, count in tally.items() if count), key=lambda key: (len(key.encode()), key.encode()))
    return json.dumps({key: tally[key] for key in keys}, ensure_ascii=False)
