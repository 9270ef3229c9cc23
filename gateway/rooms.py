"""Seams: the named rooms of seed 002 (`storage.rooms` meets it), and the way in for their messages."""

from dataclasses import dataclass
from typing import Protocol, TypeGuard

from gateway.messages import check_text
from storage.records import QUEUE_SENDER, EventKind, NewEvent, Refusal, Room, RoomEntry

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


@dataclass(frozen=True, slots=True)
class RoomMessage:
    """A message for the room of a name. Another with the same `client_msg_id` is the same message."""

    room: str
    text: str
    client_msg_id: str

    def event(self, chat_id: int) -> NewEvent:
        """What is stored of it, in that room's chat."""
        return NewEvent(chat_id, QUEUE_SENDER, self.client_msg_id, EventKind.MESSAGE, self.text)


class RoomInbox(Protocol):
    """Where messages for rooms are handed in: the store (`gateway.room_store`) or the queue (`gateway.ingest`)."""

    async def accept(self, message: RoomMessage) -> Refusal | None:
        """None once the message is durable: it is or will be stored, once, whatever dies from here on.

        Raises: StorageUnavailable, QueueUnavailable. Then it may have been accepted all the same, so a retry should
        have the same id.
        """
        ...
