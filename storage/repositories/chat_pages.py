"""Lists of a user's chats and of a chat's members, page by page. `Chats` hands them out.

Keeps: a page costs the same wherever it is in the list and however large the chats in it are. It begins after a key and
not at a number of rows, so that rows which come and go meanwhile move no others between pages.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from storage.database.database import Database, Row
from storage.log.event_rows import person_of
from storage.records import (
    BIGINT_MAX,
    MAX_COUNTED_MEMBERS,
    MAX_UNREAD,
    SYSTEM,
    Chat,
    ChatKind,
    Member,
    Page,
    Role,
)

LISTED_MEMBERS: Final = 10
"""The members of a chat that a list of chats shows."""
SHOWN_MEMBERS: Final = 1_000
"""The members that one chat shows."""
MAX_WITH_DATA: Final = 101
"""The rows of a page that may have the data of the chats, each up to 16 KiB."""
READ_AHEAD: Final = 1_000
"""If more events than this follow a read position, the unread ones are not counted, which bounds the cost."""
IS_FAR: Final = f"c.last_seq > m.read_seq + {READ_AHEAD} AND c.last_seq >= c.first_seq + {READ_AHEAD}"
"""SQL: more than READ_AHEAD events of the chat `c` that are still stored follow the read position of the member `m`."""

UNREAD: Final = f"""
CASE WHEN {IS_FAR} THEN {MAX_UNREAD} ELSE (
    SELECT count(*) FROM (
        SELECT 1 FROM chat_log e
        WHERE e.chat_id = m.chat_id AND e.seq > m.read_seq
            AND e.kind = 'message' AND e.sender_id <> m.user_id AND NOT e.is_deleted
        LIMIT {MAX_UNREAD}) AS others
) END AS unread"""
PERSON: Final = "u.id AS user_id, u.login, u.first_name, u.last_name, u.display_name, u.avatar_url"
# The owner as in `owners.settle_owner`: a creator who has left without a successor is replaced by the oldest member.
# No EXISTS: PostgreSQL may hash all memberships for it.
CHAT: Final = f"""
c.id, c.kind, c.title, c.first_seq, c.last_seq, c.retention_days, c.is_frozen, c.slow_mode_s,
(SELECT k.key FROM chat_keys k WHERE k.chat_id = c.id) AS key,
CASE WHEN c.kind = '{ChatKind.DIRECT}' OR c.creator_id = {SYSTEM.id} THEN NULL ELSE COALESCE(
    (SELECT o.user_id FROM memberships o WHERE o.chat_id = c.id AND o.user_id = c.creator_id),
    (SELECT o.user_id FROM memberships o WHERE o.chat_id = c.id
        ORDER BY CASE WHEN o.role = '{Role.CLIENT}' THEN 1 ELSE 0 END, o.id LIMIT 1)
) END AS owner_id,
(SELECT count(*) FROM (
    SELECT 1 FROM memberships o WHERE o.chat_id = c.id LIMIT {MAX_COUNTED_MEMBERS}) AS counted) AS member_count
"""
# Both sides of a join have the condition of the key: PostgreSQL may merge them, and would read one from its beginning.
_CHATS_OF_USER: Final = f"""
SELECT {CHAT}, CASE WHEN $3 > {MAX_WITH_DATA} THEN '' ELSE c.data END AS data, {UNREAD},
    m.id AS place, m.role, m.read_seq, m.muted_until, {PERSON}
FROM memberships m JOIN chats c ON c.id = m.chat_id JOIN users u ON u.id = m.user_id
WHERE m.user_id = $1 AND m.chat_id < $2 AND c.id < $2 AND NOT c.is_removed ORDER BY m.chat_id DESC LIMIT $3
"""
_ONE_CHAT: Final = f"""
SELECT {CHAT}, c.data, m.id AS place, m.role, m.read_seq, m.muted_until, {PERSON}
FROM chats c LEFT JOIN memberships m ON m.chat_id = c.id AND m.user_id = $2 LEFT JOIN users u ON u.id = m.user_id
WHERE c.id = $1 AND NOT c.is_removed
"""
# A range and no equality for the chat: with one, PostgreSQL may take an index of users, which has the order too, and
# read their memberships in all other chats.
_MEMBERS_OF_CHAT: Final = f"""
SELECT m.role, m.read_seq, m.muted_until, {PERSON} FROM (
    SELECT user_id, role, read_seq, muted_until FROM memberships
    WHERE (chat_id, user_id) > ($1, $2) AND chat_id <= $1 ORDER BY chat_id, user_id LIMIT $3) AS m
JOIN users u ON u.id = m.user_id ORDER BY m.user_id
"""
# Of each chat the $2 members with the lowest ids, so that the scan of the index of (chat, user) ends early.
_FIRST_OF_EACH_IN_POSTGRES: Final = """
FROM (SELECT c.id FROM chats c WHERE {is_listed}) c CROSS JOIN LATERAL (
    SELECT * FROM memberships o WHERE o.chat_id = c.id ORDER BY o.user_id LIMIT $2) m"""
_FIRST_OF_EACH_IN_SQLITE: Final = f"""
FROM (SELECT c.id, (SELECT o.user_id FROM memberships o WHERE o.chat_id = c.id
    ORDER BY o.user_id LIMIT 1 OFFSET $2 - 1) AS last FROM chats c WHERE {{is_listed}}) c
JOIN memberships m ON m.chat_id = c.id AND m.user_id <= COALESCE(c.last, {BIGINT_MAX})"""


class ChatPages:
    """Every method raises StorageUnavailable if the database does not respond in time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        first = _FIRST_OF_EACH_IN_POSTGRES if database.postgres is not None else _FIRST_OF_EACH_IN_SQLITE
        self._first_members = f"""
            SELECT m.chat_id, m.id AS place, m.role, m.read_seq, m.muted_until, {PERSON}
            {first.format(is_listed=f"c.id {database.among('$1')}")} JOIN users u ON u.id = m.user_id"""

    async def of_user(self, user_id: int, before: int, limit: int) -> Page[Chat]:
        """The user's chats with ids below `before`, the newest first; each with LISTED_MEMBERS of its members."""
        rows = await self._database.fetch(_CHATS_OF_USER, user_id, before, limit + 1)
        shown = rows[:limit]
        return Page(await self.with_members(shown), shown[-1]["id"] if len(rows) > limit else None)

    async def with_members(self, rows: Sequence[Row]) -> tuple[Chat, ...]:
        """The chat in each row, with LISTED_MEMBERS of its members; a row has CHAT, UNREAD and the reader as member."""
        members = await self._members([row["id"] for row in rows], LISTED_MEMBERS)
        return tuple(_chat(row, _with_reader(row, members[row["id"]], LISTED_MEMBERS)) for row in rows)

    async def one(self, chat_id: int, user_id: int | None) -> Chat | None:
        """The chat with SHOWN_MEMBERS of its members, if this user may see it; None sees every chat."""
        rows = await self._database.fetch(_ONE_CHAT, chat_id, user_id or 0)
        if not rows:
            return None
        (row,) = rows
        is_open = user_id is None or row["kind"] == ChatKind.PUBLIC
        if not is_open and row["user_id"] is None:
            return None
        members = (await self._members([chat_id], SHOWN_MEMBERS))[chat_id]
        return _chat(row, _with_reader(row, members, SHOWN_MEMBERS))

    async def members(self, chat_id: int, after: int, limit: int) -> Page[Member]:
        """The chat's members with user ids above `after`, ascending."""
        rows = await self._database.fetch(_MEMBERS_OF_CHAT, chat_id, after, limit + 1)
        shown = tuple(map(member_of, rows[:limit]))
        return Page(shown, shown[-1].person.id if len(rows) > limit else None)

    async def _members(self, chat_ids: Sequence[int], most: int) -> defaultdict[int, list[Row]]:
        members: defaultdict[int, list[Row]] = defaultdict(list)
        if not chat_ids:
            return members
        rows = await self._database.fetch(self._first_members, self._database.ids(chat_ids), most)
        for row in rows:
            members[row["chat_id"]].append(row)
        return members


def _with_reader(row: Row, members: list[Row], most: int) -> tuple[Member, ...]:
    """The members, the oldest first; the user who reads, whose membership the chat's row has, is among them."""
    reader = row["user_id"]
    if reader is not None and all(member["user_id"] != reader for member in members):
        members = [*members[: most - 1], row]
    return tuple(map(member_of, sorted(members, key=lambda member: member["place"])))


def member_of(row: Mapping[str, Any]) -> Member:
    """The member in a row."""
    return Member(person_of(row, "user_id"), Role(row["role"]), row["read_seq"], row["avatar_url"], row["muted_until"])


def _chat(row: Row, members: tuple[Member, ...]) -> Chat:
    kind, unread = ChatKind(row["kind"]), row.get("unread", 0)
    details = row["key"], row["data"], row["retention_days"], bool(row["is_frozen"]), row["slow_mode_s"]
    place = row["last_seq"], row["owner_id"], members, unread, row["member_count"]
    return Chat(row["id"], kind, row["title"], *place, *details, row["first_seq"])
