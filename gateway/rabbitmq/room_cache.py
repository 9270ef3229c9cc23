"""A cache of the chat ids of rooms."""

from collections import OrderedDict

from gateway.interfaces.rooms import Rooms

MAX_ROOMS = 10_000


class Directory:
    """Recently used rooms by name. A room's chat never changes, so only a restored database makes an entry wrong."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._known: OrderedDict[str, int] = OrderedDict()

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
