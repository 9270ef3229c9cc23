"""Messages for rooms, which are found by their names. The chat ids of rooms are cached."""

from collections import OrderedDict
from dataclasses import dataclass

from gateway.interfaces.rooms import RoomMessage, Rooms
from gateway.rabbitmq.decoder import DeadLetterReason, read_message
from storage.records import NewEvent, Refusal

MAX_ROOMS = 10_000


class RoomIntake:
    """Recently used rooms by name. A room's chat never changes, so only a restored database makes an entry wrong."""

    def __init__(self, rooms: Rooms, max_text_length: int) -> None:
        self._rooms = rooms
        self._max_text_length = max_text_length
        self._known: OrderedDict[str, int] = OrderedDict()

    def read(self, body: bytes, message_id: str | None) -> "_InRoom | DeadLetterReason":
        """The message, or why it can never be stored."""
        message = read_message(body, message_id, self._max_text_length)
        return message if isinstance(message, DeadLetterReason) else _InRoom(self, message)

    async def chat_id(self, name: str) -> int:
        """The id of the room's chat.

        Raises: StorageUnavailable.
        """
        if (chat_id := self._known.get(name)) is None:
            chat_id = self._known[name] = (await self._rooms.room(name)).chat_id
            if len(self._known) > MAX_ROOMS:
                self._known.popitem(last=False)
        return chat_id

    def forget(self, name: str) -> None:
        """Remove a room from the cache."""
        self._known.pop(name, None)


@dataclass(frozen=True, slots=True)
class _InRoom:
    intake: RoomIntake
    message: RoomMessage

    async def event(self) -> NewEvent | DeadLetterReason:
        return self.message.event(await self.intake.chat_id(self.message.room))

    def reason(self, refusal: Refusal) -> DeadLetterReason | None:
        if refusal is Refusal.ID_REUSED:
            return DeadLetterReason.ID_REUSED
        self.intake.forget(self.message.room)
        return None
