"""Moves read positions forward, those of many members in one statement.

The positions that arrive while a statement runs share the next one: a transaction each cost twenty times as much.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from storage.database.coalescer import Coalescer
from storage.database.database import Database
from storage.records import are_ids, clamped

_Mark = tuple[int, int, int]
"""(chat_id, user_id, seq)."""

# The rows are locked in the order of their ids: in any other two nodes with the same members could deadlock.
_IN_POSTGRES: Final = """
WITH wanted AS (
    SELECT chat_id, user_id, max(seq) AS seq
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS p (chat_id, user_id, seq) GROUP BY chat_id, user_id
), held AS (
    SELECT m.id, least(c.last_seq, w.seq) AS reach
    FROM wanted w JOIN memberships m ON m.chat_id = w.chat_id AND m.user_id = w.user_id JOIN chats c ON c.id = w.chat_id
    WHERE m.read_seq < least(c.last_seq, w.seq) ORDER BY m.id FOR NO KEY UPDATE OF m)
UPDATE memberships m SET read_seq = h.reach FROM held h WHERE m.id = h.id AND m.read_seq < h.reach
RETURNING m.chat_id, m.user_id, m.read_seq
"""
_IN_SQLITE: Final = """
UPDATE memberships SET read_seq = w.reach
FROM (SELECT p.chat_id, p.user_id, min(c.last_seq, max(p.seq)) AS reach
    FROM (SELECT json_extract(value, '$[0]') AS chat_id, json_extract(value, '$[1]') AS user_id,
        json_extract(value, '$[2]') AS seq FROM json_each($1)) p
    JOIN chats c ON c.id = p.chat_id GROUP BY p.chat_id, p.user_id) w
WHERE memberships.chat_id = w.chat_id AND memberships.user_id = w.user_id AND memberships.read_seq < w.reach
RETURNING chat_id, user_id, read_seq
"""


class ReadMarks:
    """`move` raises StorageUnavailable if the database does not respond in time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._statement = _IN_SQLITE if database.postgres is None else _IN_POSTGRES
        self._marks = Coalescer(self._move_all)

    async def move(self, chat_id: int, user_id: int, seq: int) -> int | None:
        """Move the read position forward to `seq`, at most to the last of the chat. The new one; None if unchanged.

        Also None if another request has moved it further in the same statement: that one is told the position.
        """
        if not are_ids(chat_id, user_id) or seq < 1:
            return None
        return await self._marks.ask((chat_id, user_id, clamped(seq)))

    async def _move_all(self, marks: Sequence[_Mark]) -> Mapping[_Mark, int]:
        rows = await self._database.write(self._statement, *self._database.triples(marks))
        moved = {(row["chat_id"], row["user_id"]): row["read_seq"] for row in rows}
        return {
            mark: position
            for mark in marks
            if (position := moved.get((mark[0], mark[1]))) is not None and mark[2] >= position
        }
