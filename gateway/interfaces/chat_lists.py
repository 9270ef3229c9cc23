"""Lists of a user's chats by activity. Implemented by `storage.repositories.chat_lists`."""

from datetime import datetime
from typing import Protocol

from storage.list_records import ArrangedChat, Arrangement, ListPage, ListPlace, UnreadTotals


class ChatLists(Protocol):
    """Every method raises StorageUnavailable if the database does not respond in time."""

    async def by_activity(
        self,
        user_id: int,
        after: ListPlace | None,
        limit: int,
        *,
        unread: bool = False,
        archived: bool = False,
        last_messages: bool = True,
    ) -> ListPage:
        """The user's chats after this place (None: the first), with ten members each, the user among them.

        Pinned chats come first, then those with the latest message or, without one, creation. Only the archived chats
        are listed, or only the others. With `unread` a page has only chats with unread messages, and may be shorter
        than `limit` although more follow. Chats that become active between two pages move to the beginning of the list
        and repeat or hide no others.
        """
        ...

    async def arrange(self, chat_id: int, user_id: int, change: Arrangement) -> ArrangedChat | None:
        """Change how the user's lists show the chat, and the read position, which may move back here only.

        None if the user is no member. The read position is at most the chat's last seq.
        """
        ...

    async def unread_totals(self, user_id: int, now: datetime) -> UnreadTotals:
        """What the user has not read in chats that are neither archived nor silenced at this time."""
        ...
