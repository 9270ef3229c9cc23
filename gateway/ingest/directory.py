"""Which chat a room is, remembered."""

from collections import OrderedDict

from gateway.rooms import Rooms

MAX_ROOMS = 10_000


class Directory:
    """The rooms asked for of late, by their names: a room is for ever, so only a restored database makes this wrong."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._known: OrderedDict[str, int] = OrderedDict()

    async def chat_id(self, name: str) -> int:
        """The room's chat.

        Raises: StorageUnavailable.
        """
        if (chat_id := self._known.get(name)) is None:
            chat_id = self._known[name] = (await self._rooms.room(name)).chat_id
            if len(self._known) > MAX_ROOMS:
                self._known.popitem(last=False)
        return chat_id

    def forget(self, name: str) -> None:
        """Ask for this one again."""
        self._known.pop(name, None)
