"""Seam: the named rooms of seed 002. `storage.rooms` meets it."""

from typing import Protocol, TypeGuard

from gateway.messages import check_text
from storage.records import Room, RoomEntry

MAX_ROOM_NAME = 255
"""In code points (protocol.md)."""


class Rooms(Protocol):
    """Chats that are found by a name (`is_room_name` says what can be one); asking for a name makes its room.

    A room is never renamed or removed, so callers may keep what `room` says for as long as they like. Both methods
    raise StorageUnavailable when the database does not answer in time.
    """

    async def room(self, name: str) -> Room:
        """The room of this name, made if need be; one query if it is there.

        Whoever asks first, and on however many nodes at once, there is one. Its only member is `QUEUE_SENDER`.
        """
        ...

    async def enter(self, name: str) -> RoomEntry:
        """The same with its position and epoch: what a connection needs to enter it, in one query as well."""
        ...


def is_room_name(name: object) -> TypeGuard[str]:
    """Whether a room can have this name: 1 to MAX_ROOM_NAME code points that can be stored, not all of them white."""
    return check_text(name, MAX_ROOM_NAME) is None
