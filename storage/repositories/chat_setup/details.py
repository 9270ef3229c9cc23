"""What a chat is beside its members and its log. Implements `gateway.interfaces.membership.ChatSetup`."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from tortoise.expressions import F

from storage.chat_records import ChatDetails
from storage.database.database import Database
from storage.errors import NotAllowed
from storage.models import ChatRoom, Membership
from storage.outbox.chat_notes import ChatNotes
from storage.outbox_records import NOTHING_WANTED, Wanted
from storage.records import ChatKind, Role
from storage.repositories.chat_setup.lock import locked_chat
from storage.repositories.owners import settle_owner

RULES: Final = frozenset({"is_frozen", "slow_mode_s"})
"""What moderators may change."""
_DETAILS: Final = """
    SELECT c.id, c.title, c.data, c.retention_days, c.version, c.is_frozen, c.slow_mode_s, k.key
    FROM chats c LEFT JOIN chat_keys k ON k.chat_id = c.id"""


class ChatDetailsRepository:
    """Every method raises StorageUnavailable if the database does not respond in time; else as in the interface."""

    def __init__(self, database: Database, wanted: Wanted = NOTHING_WANTED) -> None:
        """`wanted` is what changes write to the outbox."""
        self._database = database
        self._notes = ChatNotes(database, wanted)
        self._details = f"{_DETAILS} WHERE c.id {database.among('$1')}"

    async def details(self, chat_ids: Sequence[int]) -> dict[int, ChatDetails]:
        """Those of these chats that exist."""
        rows = await self._database.fetch(self._details, self._database.ids(chat_ids))
        return {
            row["id"]: ChatDetails(
                row["id"],
                row["title"],
                row["key"],
                row["data"],
                row["retention_days"],
                row["version"],
                bool(row["is_frozen"]),
                row["slow_mode_s"],
            )
            for row in rows
        }

    async def change(self, chat_id: int, actor_id: int | None, columns: Mapping[str, str | int | None]) -> bool:
        """Set these columns of the chat; False if they had these values.

        Raises: NoSuchChat, NotAllowed.
        """
        async with self._database.transaction() as client:
            room = await locked_chat(chat_id, actor_id)
            if not await _may_change(room, actor_id, columns):
                raise NotAllowed
            changed = {name: value for name, value in columns.items() if getattr(room, name) != value}
            if changed:
                await ChatRoom.filter(id=chat_id).update(**changed, version=F("version") + 1)
                await self._notes.changed(client, chat_id, room.last_seq, changed, actor_id)
            return bool(changed)


async def _may_change(room: ChatRoom, actor_id: int | None, columns: Collection[str]) -> bool:
    if actor_id is None:
        return True
    if room.kind is ChatKind.DIRECT:
        return False
    moderator = Membership.filter(chat_id=room.id, user_id=actor_id, role=Role.MODERATOR)
    return actor_id == await settle_owner(room) or (RULES.issuperset(columns) and await moderator.exists())
