"""Values of a user's lists of chats."""

from datetime import datetime

from msgspec import Struct

from storage.records import Chat, ChatEvent


class ListPlace(Struct, frozen=True, gc=False):
    """Where a chat is in a list by activity, which is in descending order of these fields.

    `activity` is in Unix microseconds.
    """

    is_pinned: bool
    activity: int
    chat_id: int


class ListedChat(Struct, frozen=True, gc=False):
    """A chat in its reader's list; `mentions` counts those of the reader in unread messages, up to 100.

    `last_message` is None if there is none, or if it was not asked for. `silenced_until` is None if the reader is
    notified of the chat's messages.
    """

    chat: Chat
    mentions: int
    last_activity_at: datetime
    is_pinned: bool
    is_archived: bool
    silenced_until: datetime | None
    last_message: ChatEvent | None = None


class ListPage(Struct, frozen=True, gc=False):
    """Some of a list by activity; `next` is the place after which the next page begins, None if there is none."""

    chats: tuple[ListedChat, ...]
    next: ListPlace | None


class Arrangement(Struct, frozen=True, gc=False):
    """What to change of a chat in its reader's lists; None changes nothing.

    `silenced_until` is in Unix microseconds; 0 ends the silence. `read_seq` may be lower than before.
    """

    is_pinned: bool | None = None
    is_archived: bool | None = None
    silenced_until: int | None = None
    read_seq: int | None = None


class ArrangedChat(Struct, frozen=True, gc=False):
    """How a user has arranged a chat."""

    is_pinned: bool
    is_archived: bool
    silenced_until: datetime | None
    read_seq: int


MAX_UNREAD_CHATS = 100
MAX_UNREAD_MESSAGES = 1_000


class UnreadTotals(Struct, frozen=True, gc=False):
    """What a user has not read, over all chats that are neither archived nor silenced.

    MAX_UNREAD_CHATS and MAX_UNREAD_MESSAGES stand for as many or more, and 100 mentions.
    """

    chats: int
    messages: int
    mentions: int
