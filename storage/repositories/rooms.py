"""Rooms: chats with a name as their key. Implements `gateway.interfaces.rooms.RoomRepository`.

Invariants: a name always means the same room, also if several nodes create it at the same time. The system user that
sends the messages of the queue is the only member of a room: so rooms are in no user's list of chats, and the
membership check of a commit succeeds.
"""

from tortoise.exceptions import IntegrityError

from storage.database.database import Database, Row
from storage.database.epoch import epoch_of
from storage.models import ChatRoom, Membership, RoomName
from storage.records import SYSTEM, ChatKind, ChatPosition, Role, Room, RoomEntry


class RoomRepository:
    """Every method raises StorageUnavailable if the database does not respond in time; else as in the interface."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._find = f"""
            SELECT c.id, c.last_seq, c.members_version, {database.epoch_sql} AS epoch
            FROM rooms r JOIN chats c ON c.id = r.chat_id, store_identity s WHERE r.name = $1"""

    async def room(self, name: str) -> Room:
        """The room with this name, created if missing; one query if it exists."""
        return (await self.enter(name)).room

    async def enter(self, name: str) -> RoomEntry:
        """The room with its current position and the epoch."""
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
                chat = await ChatRoom.create(kind=ChatKind.ROOM, title=name, creator_id=SYSTEM.id)
                await Membership.create(chat_id=chat.id, user_id=SYSTEM.id, role=Role.MEMBER)
                await RoomName.create(name=name, chat_id=chat.id)
        except IntegrityError:
            pass  # another node has just created it
