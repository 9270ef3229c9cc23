"""The rooms of seed 002, with the inbox for their messages, and the public channel of seed 003.

Implemented by `storage.repositories.rooms` and `storage.repositories.public_channel`.
"""

from dataclasses import dataclass
from typing import Protocol, TypeGuard

from gateway.protocol.validation import check_text
from storage.records import SYSTEM, Admission, EventKind, NewEvent, OnOutcome, Refusal, Room, RoomEntry


class Store(Protocol):
    """Stores and delivers an event. Implemented by `gateway.node.node.Node`."""

    def submit(self, event: NewEvent, done: OnOutcome) -> None:
        """Store an event; `done` is called with the outcome. Events of one chat are stored in submission order."""
        ...


MAX_ROOM_NAME = 255
"""In code points (docs/protocol.md, "Limits")."""


class Rooms(Protocol):
    """Chats that are identified by a name, valid by `is_room_name`; a room is created on first use.

    A room is never renamed or removed, so callers may cache the result of `room` without limit. Both methods raise
    StorageUnavailable when the database does not answer in time.
    """

    async def room(self, name: str) -> Room:
        """The room of this name, created if necessary; one query if it exists.

        Concurrent first calls on any number of nodes create one room. Its only member is `SYSTEM`.
        """
        ...

    async def enter(self, name: str) -> RoomEntry:
        """The room with its position and epoch, created if necessary; one query if it exists."""
        ...


def is_room_name(name: object) -> TypeGuard[str]:
    """Whether a room can have this name: 1 to MAX_ROOM_NAME storable code points, not all of them whitespace."""
    return check_text(name, MAX_ROOM_NAME) is None


@dataclass(frozen=True, slots=True)
class RoomMessage:
    """A message for a room. Messages with the same `client_msg_id` are one message."""

    room: str
    text: str
    client_msg_id: str

    def event(self, chat_id: int) -> NewEvent:
        """The event to store in the chat of the room."""
        return NewEvent(chat_id, SYSTEM, self.client_msg_id, EventKind.MESSAGE, self.text)


class RoomInbox(Protocol):
    """Accepts messages for rooms. Implemented by `gateway.node.room_inbox` (store) and `gateway.rabbitmq` (queue)."""

    async def accept(self, message: RoomMessage) -> Refusal | None:
        """Return None once the message is durable: it is or will be stored exactly once, even if processes die.

        Raises: StorageUnavailable, QueueUnavailable. The message may have been accepted nevertheless, so a retry
        should have the same `client_msg_id`.
        """
        ...


class PublicChannel(Protocol):
    """A chat in which every user who enters becomes a member."""

    async def enter(self, user_id: int) -> tuple[Admission, bool]:
        """The user's membership and the channel's position, and whether the membership is new; one query if it is not.

        The first call creates the channel; concurrent first calls on any number of nodes create one.
        Raises: StorageUnavailable.
        """
        ...
