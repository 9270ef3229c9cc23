"""Messages for rooms, straight into the store: without a queue, a COMMIT is what makes them durable.

No minute's limit is asked: it is a person's, and these messages come from the queue's system user.
"""

import asyncio
from typing import Protocol

from gateway.rooms import RoomMessage, Rooms
from storage.records import Committed, NewEvent, OnOutcome, Outcome, Refusal


class Store(Protocol):
    """Who stores an event and tells everyone. `gateway.node.Node` meets it."""

    def submit(self, event: NewEvent, done: OnOutcome) -> None:
        """Store it; `done` hears the outcome. One chat's events are stored in the order of their submission."""
        ...


class RoomStore:
    """Meets `gateway.rooms.RoomInbox`."""

    def __init__(self, rooms: Rooms, store: Store) -> None:
        self._rooms = rooms
        self._store = store

    async def accept(self, message: RoomMessage) -> Refusal | None:
        """None once the message is committed.

        Raises: StorageUnavailable.
        """
        room = await self._rooms.room(message.room)
        answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def done(outcome: Outcome) -> None:
            if not answered.done():  # the caller may be gone
                answered.set_result(outcome)

        self._store.submit(message.event(room.chat_id), done)
        outcome = await answered
        return None if isinstance(outcome, Committed) else outcome
