"""Stores room messages directly, without a queue: a message is durable after its COMMIT.

The rate limit does not apply: it is per user, and these messages come from the system user of the queue.
"""

import asyncio

from gateway.interfaces.rooms import RoomMessage, Rooms, Store
from storage.records import Outcome, Refusal


class StoreInbox:
    """Implements `gateway.interfaces.rooms.RoomInbox`."""

    def __init__(self, rooms: Rooms, store: Store) -> None:
        self._rooms = rooms
        self._store = store

    async def accept(self, message: RoomMessage) -> Refusal | None:
        """Commit the message and return None, or return the refusal.

        Raises: StorageUnavailable.
        """
        room = await self._rooms.room(message.room)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def done(outcome: Outcome) -> None:
            if not future.done():  # the caller may be cancelled
                future.set_result(outcome)

        self._store.submit(message.event(room.chat_id), done)
        outcome = await future
        return outcome if isinstance(outcome, Refusal) else None
