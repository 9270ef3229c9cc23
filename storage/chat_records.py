"""What a chat is beside its members and its log, what of it can be changed, and which chats have changed."""

from msgspec import Struct

from storage.records import ChatPosition

MAX_KEY = 128
MAX_DATA_BYTES = 16 * 1024
MAX_DATA_LEVELS = 8


class ChatDetails(Struct, frozen=True, gc=False):
    """A chat as its owner has set it up.

    `data` is a JSON object as text, or empty. `retention_days` None: as for all chats. `version` grows with each
    change.
    """

    chat_id: int
    title: str
    key: str | None
    data: str
    retention_days: int | None
    version: int
    is_frozen: bool = False
    slow_mode_s: int = 0


class Look(Struct, frozen=True, gc=False):
    """Where the next look at what has moved begins; made and read by `storage.log.recent_changes`."""

    epoch: str
    event_id: int | None
    """Every event up to this id is known; None if that cannot be said yet."""
    change: int
    top: int
    """The highest id of an event that is known, but not that those before it are …"""
    ended: int
    """… until every transaction before this one has ended."""


class Changes(Struct, frozen=True, gc=False):
    """What has moved since another look."""

    epoch: str
    look: Look
    is_complete: bool
    """False if there was more than was asked for, or if it is unknown; then any chat may have moved."""
    last_seqs: dict[int, int]
    """By chat: the last seq of those with new events."""
    chats: dict[int, ChatPosition]
    """Chats whose members, details or beginning have changed."""
