"""Seam: the durable log of every chat. `storage.chat_log` meets it."""

from collections.abc import Sequence
from typing import Protocol

from storage.records import ChatEvent, NewEvent, OnOutcome, Positions


class ChatLog(Protocol):
    """The truth of what was said, in order."""

    def submit(self, event: NewEvent, done: OnOutcome) -> None:
        """Queue an event for the next group commit; never blocks.

        `done` is called exactly once, on the event loop, after COMMIT (or with a Refusal); for one chat in seq order.
        Entries of one chat are committed in the order in which they were submitted here. When the bounded queue is
        full, `done` gets Refusal.UNAVAILABLE at once. What was submitted is committed whatever becomes of the caller.
        """
        ...

    async def find(self, chat_id: int, sender_id: int, client_msg_id: str) -> ChatEvent | None:
        """The event that this id stands for, if it is stored already.

        Raises: StorageUnavailable.
        """
        ...

    async def events_after(self, chat_id: int, seq: int, limit: int) -> list[ChatEvent]:
        """At most `limit` events with a higher seq, ascending, without a hole, each with its message's present state.

        Raises: StorageUnavailable.
        """
        ...

    async def messages_before(self, chat_id: int, seq: int | None, limit: int) -> list[ChatEvent]:
        """The last `limit` messages created below `seq` (None: the newest), ascending, in their present state.

        Raises: StorageUnavailable.
        """
        ...

    async def positions(self, chat_ids: Sequence[int]) -> Positions:
        """Where these chats stand now, and in which history; unknown ids are left out. At most 1,000 ids a call.

        Raises: StorageUnavailable.
        """
        ...

    async def epoch(self) -> str:
        """Which history this is: it changes when a restore or failover may have taken seq back (`docs/message-log.md`).

        Raises: StorageUnavailable.
        """
        ...
