"""What a chat is beside its members and its log, and what of it can be changed."""

from msgspec import Struct

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
