"""Lists of a user's chats by activity, and what is unread. Implements `gateway.interfaces.chat_lists.ChatLists`.

Keeps: the cost of a page grows with the number of the user's chats, by one row of `memberships` and `chats` for each,
and not with what is stored or unread in them. A page begins after a place in the list and not at a number of rows.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from storage.database.database import Database, Row
from storage.list_records import (
    MAX_UNREAD_CHATS,
    MAX_UNREAD_MESSAGES,
    ArrangedChat,
    Arrangement,
    ListedChat,
    ListPage,
    ListPlace,
    UnreadTotals,
)
from storage.log.event_rows import SELECT_EVENT, event_of, from_microseconds, to_microseconds
from storage.log.references import targets_of
from storage.records import BIGINT_MAX, MAX_UNREAD, Chat, ChatEvent, are_ids, clamped, is_id
from storage.repositories.chat_pages import CHAT, IS_FAR, MAX_WITH_DATA, PERSON, READ_AHEAD, UNREAD, ChatPages
from storage.repositories.users.mentions import MAX_MENTIONS, UNREAD_MENTIONS

_COUNTED_CHATS: Final = 2 * MAX_UNREAD_CHATS
"""The chats in which a total counts: some may have events after the read position, and no message by others."""
_TOP: Final = ListPlace(is_pinned=True, activity=BIGINT_MAX, chat_id=BIGINT_MAX)

# Where the row does not have it: the time of the chat's last event, or of its creation.
_LAST_TIME: Final = """
COALESCE((SELECT e.created_at FROM chat_log e WHERE e.chat_id = c.id AND e.seq = c.last_seq), c.created_at)"""
# Both sides have the same chats: it is FULL for PostgreSQL to choose a hash join. From an array it expects a handful of
# rows, and would compare each with each. For that no condition may refuse NULL, and OFFSET keeps the others outside.
_JOIN_IN_POSTGRES: Final = f"""
FULL JOIN (
    SELECT c.id, c.last_seq, CASE WHEN c.last_activity > 0 THEN c.last_activity
        ELSE (extract(epoch FROM {_LAST_TIME}) * 1000000)::bigint END AS activity
    FROM chats c WHERE c.id = ANY (ARRAY(SELECT chat_id FROM mine))) c ON c.id = m.chat_id
{{condition}} OFFSET 0"""
_JOIN_IN_SQLITE: Final = f"""
JOIN (
    SELECT c.id, c.last_seq, CASE WHEN c.last_activity > 0 THEN c.last_activity
        ELSE CAST(round((julianday({_LAST_TIME}) - 2440587.5) * 86400000000.0) AS INTEGER) END AS activity
    FROM chats c) c ON c.id = m.chat_id
{{condition}}"""
_UNREAD_ONLY: Final = "WHERE (c.last_seq > m.read_seq) IS NOT FALSE"
# What the row does not say is searched for among the chat's last events only, which bounds the cost.
_LAST_MESSAGE: Final = f"""
COALESCE(c.last_message_id, (SELECT e.id FROM chat_log e
    WHERE e.chat_id = c.id AND e.seq > c.last_seq - {READ_AHEAD} AND e.kind = 'message' ORDER BY e.seq DESC LIMIT 1))"""
_PAGE: Final = """
WITH mine AS MATERIALIZED (
    SELECT chat_id, is_pinned {{column}} FROM memberships WHERE user_id = $1 AND is_archived = $2),
page AS (
    SELECT * FROM (
        SELECT m.chat_id, CASE WHEN m.is_pinned THEN 1 ELSE 0 END AS pin, c.activity FROM mine m {join}) AS own
    WHERE (own.pin, own.activity, own.chat_id) < ($3, $4, $5)
    ORDER BY own.pin DESC, own.activity DESC, own.chat_id DESC LIMIT $6)
"""
_DETAILS: Final = f"""
SELECT {CHAT}, CASE WHEN $6 > {MAX_WITH_DATA} THEN '' ELSE c.data END AS data, {UNREAD},
    {UNREAD_MENTIONS} AS mentions,
    {_LAST_MESSAGE} AS last_message,
    m.id AS place, m.role, m.read_seq, m.muted_until, m.is_archived, m.silenced_until, page.pin, page.activity, {PERSON}
FROM page JOIN memberships m ON m.chat_id = page.chat_id AND m.user_id = $1
    JOIN chats c ON c.id = m.chat_id AND NOT c.is_removed JOIN users u ON u.id = m.user_id
ORDER BY page.pin DESC, page.activity DESC, page.chat_id DESC
"""
# CAST, since PostgreSQL infers no type for a parameter that is NULL.
_ARRANGE: Final = """
UPDATE memberships SET is_pinned = COALESCE(CAST($3 AS BOOLEAN), is_pinned),
    is_archived = COALESCE(CAST($4 AS BOOLEAN), is_archived),
    silenced_until = COALESCE(CAST($5 AS BIGINT), silenced_until),
    read_seq = CASE WHEN CAST($6 AS BIGINT) IS NULL THEN read_seq
        WHEN CAST($6 AS BIGINT) < c.last_seq THEN CAST($6 AS BIGINT) ELSE c.last_seq END
FROM (SELECT last_seq FROM chats WHERE id = $1) c
WHERE chat_id = $1 AND user_id = $2 RETURNING is_pinned, is_archived, silenced_until, read_seq
"""
# What UNREAD counts, without its limit for each chat. No EXISTS: PostgreSQL may read the whole log for it.
_OTHERS: Final = """
SELECT 1 FROM chat_log e WHERE e.chat_id = m.chat_id AND e.seq > m.read_seq
    AND e.kind = 'message' AND e.sender_id <> m.user_id AND NOT e.is_deleted"""
_TOTALS: Final = f"""
WITH candidates AS (
    SELECT m.chat_id, m.user_id, m.read_seq, {IS_FAR} AS is_far
    FROM memberships m JOIN chats c ON c.id = m.chat_id
    WHERE m.user_id = $1 AND c.last_seq > m.read_seq AND NOT m.is_archived AND m.silenced_until <= $2
    LIMIT {_COUNTED_CHATS}),
near AS (SELECT m.*, ({_OTHERS} LIMIT 1) IS NOT NULL AS is_unread FROM candidates m WHERE NOT m.is_far)
SELECT (SELECT count(*) FROM candidates m WHERE m.is_far) AS far,
    (SELECT count(*) FROM near m WHERE m.is_unread) AS near,
    (SELECT COALESCE(sum({UNREAD_MENTIONS}), 0) FROM candidates m) AS mentions,
    (SELECT count(*) FROM (
        SELECT 1 FROM near m {{join}} WHERE m.is_unread LIMIT {MAX_UNREAD_MESSAGES}) AS counted) AS messages
"""
_MESSAGES_IN_POSTGRES: Final = f"CROSS JOIN LATERAL ({_OTHERS} LIMIT {MAX_UNREAD_MESSAGES}) AS others"
_MESSAGES_IN_SQLITE: Final = """
JOIN chat_log e ON e.chat_id = m.chat_id AND e.seq > m.read_seq AND e.kind = 'message'
    AND e.sender_id <> m.user_id AND NOT e.is_deleted"""


class StoredChatLists:
    """Every method raises StorageUnavailable if the database does not respond in time; else as in the interface."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pages = ChatPages(database)
        page = _PAGE.format(join=_JOIN_IN_SQLITE if database.postgres is None else _JOIN_IN_POSTGRES)
        self._page = page.format(column="", condition="") + _DETAILS
        self._unread_page = page.format(column=", read_seq", condition=_UNREAD_ONLY) + _DETAILS
        self._totals = _TOTALS.format(join=_MESSAGES_IN_SQLITE if database.postgres is None else _MESSAGES_IN_POSTGRES)
        self._messages = f"{SELECT_EVENT} WHERE e.id {database.among('$1')}"

    async def by_activity(
        self,
        user_id: int,
        after: ListPlace | None,
        limit: int,
        *,
        unread: bool = False,
        archived: bool = False,
        last_messages: bool = True,
    ) -> ListPage:
        """Some of the user's chats after this place: the pinned ones first, each time the latest activity first."""
        if not is_id(user_id):
            return ListPage((), None)
        place = after or _TOP
        statement = self._unread_page if unread else self._page
        position = (int(place.is_pinned), place.activity, place.chat_id)
        rows = await self._database.fetch(statement, user_id, archived, *position, limit + 1)
        page = rows[:limit]
        shown = [row for row in page if row["unread"]] if unread else page
        chats = await self._pages.with_members(shown)
        messages = await self._last_messages(shown) if last_messages else {}
        listed = (_listed(row, chat, messages) for row, chat in zip(shown, chats, strict=True))
        return ListPage(tuple(listed), _place(page[-1]) if len(rows) > limit else None)

    async def _last_messages(self, rows: list[Row]) -> dict[int, ChatEvent]:
        ids = [row["last_message"] for row in rows if row["last_message"] is not None]
        found = await self._database.fetch(self._messages, self._database.ids(ids)) if ids else []
        targets = await targets_of(self._database, found)
        return {row["message_id"]: event_of(row, targets) for row in found}

    async def arrange(self, chat_id: int, user_id: int, change: Arrangement) -> ArrangedChat | None:
        """Change how the user's lists show the chat, and the read position, at most to the chat's last seq."""
        if not are_ids(chat_id, user_id):
            return None
        read_seq = None if change.read_seq is None else clamped(change.read_seq)
        values = (change.is_pinned, change.is_archived, change.silenced_until, read_seq)
        rows = await self._database.write(_ARRANGE, chat_id, user_id, *values)
        return _arranged(rows[0]) if rows else None

    async def unread_totals(self, user_id: int, now: datetime) -> UnreadTotals:
        """What the user has not read; only _COUNTED_CHATS chats with events after the read position are looked at."""
        if not is_id(user_id):
            return UnreadTotals(0, 0, 0)
        (row,) = await self._database.fetch(self._totals, user_id, to_microseconds(now))
        messages = row["far"] * MAX_UNREAD + row["messages"]
        return UnreadTotals(
            chats=min(row["far"] + row["near"], MAX_UNREAD_CHATS),
            messages=min(messages, MAX_UNREAD_MESSAGES),
            mentions=min(int(row["mentions"]), MAX_MENTIONS),
        )


def _place(row: Row) -> ListPlace:
    return ListPlace(bool(row["pin"]), row["activity"], row["id"])


def _silenced_until(row: Row) -> datetime | None:
    return from_microseconds(row["silenced_until"]) if row["silenced_until"] else None


def _arranged(row: Row) -> ArrangedChat:
    return ArrangedChat(bool(row["is_pinned"]), bool(row["is_archived"]), _silenced_until(row), row["read_seq"])


def _listed(row: Row, chat: Chat, messages: Mapping[int, ChatEvent]) -> ListedChat:
    return ListedChat(
        chat=chat,
        mentions=row["mentions"],
        last_activity_at=from_microseconds(row["activity"]),
        is_pinned=bool(row["pin"]),
        is_archived=bool(row["is_archived"]),
        silenced_until=_silenced_until(row),
        last_message=messages.get(row["last_message"]),
    )
