"""The durable log of every chat. Implemented by `storage.log.chat_log`."""

from collections.abc import Sequence
from typing import Protocol

from storage.chat_records import Changes, Look
from storage.reaction_records import OwnReactions
from storage.records import ChatEvent, NewEvent, OnOutcome, Positions


class ChatLog(Protocol):
    """The authoritative, ordered log of the events of all chats."""

    def submit(self, event: NewEvent, done: OnOutcome) -> None:
        """Queue an event for the next group commit; never blocks.

        `done` is called exactly once, on the event loop, after COMMIT (or with a Refusal); for one chat in seq order.
        Entries of one chat are committed in the order in which they were submitted here. When the bounded queue is
        full, `done` gets Refusal.UNAVAILABLE at once. A submitted event is committed even if the caller is cancelled.
        """
        ...

    async def find(self, chat_id: int, sender_id: int, client_msg_id: str) -> ChatEvent | None:
        """The stored event with this client_msg_id, or None.

        Raises: StorageUnavailable.
        """
        ...

    async def events_after(self, chat_id: int, seq: int, limit: int) -> list[ChatEvent]:
        """At most `limit` events after `seq`, ascending, without a hole, each with the current state of its message.

        Raises: StorageUnavailable.
        """
        ...

    async def messages_before(self, chat_id: int, seq: int | None, limit: int) -> list[ChatEvent]:
        """The last `limit` messages created below `seq` (None: the newest), ascending, in their current state.

        Raises: StorageUnavailable.
        """
        ...

    async def replies_before(self, chat_id: int, target_id: int, seq: int | None, limit: int) -> list[ChatEvent]:
        """The last `limit` replies to a message that were created below `seq`, ascending, in their current state.

        Raises: StorageUnavailable.
        """
        ...

    async def own_reactions(self, user_id: int, message_ids: Sequence[int]) -> OwnReactions:
        """The user's reactions to these messages, in the order of adding; those without are omitted. At most 1,000 ids.

        Raises: StorageUnavailable.
        """
        ...

    async def positions(self, chat_ids: Sequence[int]) -> Positions:
        """The current positions of these chats, and the epoch; unknown ids are omitted. At most 1,000 ids per call.

        Raises: StorageUnavailable.
        """
        ...

    async def changes(self, last: Look | None, most: int) -> Changes:
        """What has moved since the last look, in all chats; incomplete if that are more than `most` events or chats.

        The first two looks are incomplete too: they do not know yet from where to read.
        Raises: StorageUnavailable.
        """
        ...

    async def epoch(self) -> str:
        """The current epoch. It changes when a restore or failover may have moved seqs back (`docs/message-log.md`).

        Raises: StorageUnavailable.
        """
        ...
