"""Rooms: chats that are found by a name. Meets `gateway.rooms.Rooms`.

Invariants kept here: a name is one room's for ever, whichever nodes ask for it first and at once; the system user that
queue messages come from is a room's only member, so that nobody's list of chats has rooms and a commit's check of the
sender's membership holds.
"""

from tortoise.exceptions import IntegrityError

from storage.database import Database, Row
from storage.epoch import epoch_of
from storage.models import ChatRoom, Membership, RoomName
from storage.records import QUEUE_SENDER, ChatKind, ChatPosition, Role, Room, RoomEntry


class Rooms:
    """Every method raises StorageUnavailable when the database does not answer in time; see the seam for the rest."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._find = f"""
            SELECT c.id, c.last_seq, c.members_version, {database.epoch_sql} AS epoch
            FROM rooms r JOIN chats c ON c.id = r.chat_id, store_identity s WHERE r.name = $1"""

    async def room(self, name: str) -> Room:
        """The room of this name, made if need be; one query if it is there."""
        return (await self.enter(name)).room

    async def enter(self, name: str) -> RoomEntry:
        """The same, with where it stands now."""
        row = await self._row(name)
        if row is None:
            await self._make(name)
            row = await self._row(name)
            assert row is not None, "rooms are never removed"  # noqa: S101
        position = ChatPosition(row["last_seq"], row["members_version"])
        return RoomEntry(Room(row["id"], name), position, epoch_of(row["epoch"]))

    async def _row(self, name: str) -> Row | None:
        rows = await self._database.fetch(self._find, name)
        return rows[0] if rows else None

    async def _make(self, name: str) -> None:
        try:
            async with self._database.transaction():
                chat = await ChatRoom.create(kind=ChatKind.ROOM, title=name, creator_id=QUEUE_SENDER.id)
                await Membership.create(chat_id=chat.id, user_id=QUEUE_SENDER.id, role=Role.MEMBER)
                await RoomName.create(name=name, chat_id=chat.id)
        except IntegrityError:
            pass  # another node was faster by a moment: its room is everybody's
