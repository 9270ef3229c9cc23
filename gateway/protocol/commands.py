"""Commands: what a client can ask for, as plain values without behaviour.

Dialects decode JSON into commands and encode replies and pushes as JSON; no other code handles client JSON.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from gateway.protocol.ids import Since

MAX_HISTORY = 200
MAX_MENTIONS = 50
"""Users whom one message mentions."""
MAX_USERS = 100


class SendMessage(Struct, frozen=True, gc=False):
    """Store a message; its content has been validated.

    `data` is the JSON of an object, `reply_to` the id of a message, `mentions` are ids of users in ascending order.
    """

    text: str
    client_msg_id: str | None
    data: str | None = None
    reply_to: int | None = None
    mentions: tuple[int, ...] = ()


class EditMessage(Struct, frozen=True, gc=False):
    """Replace the text of one of the user's own messages, and its `data` unless that is None."""

    message_id: int
    text: str
    client_msg_id: str | None
    data: str | None = None


class DeleteMessage(Struct, frozen=True, gc=False):
    """Delete one of the user's own messages."""

    message_id: int
    client_msg_id: str | None


class React(Struct, frozen=True, gc=False):
    """Add a reaction to a message of the chat, or remove the user's own."""

    message_id: int
    key: str
    removes: bool
    client_msg_id: str | None


class SetTyping(Struct, frozen=True, gc=False):
    """Announce that the user started or stopped typing."""

    is_typing: bool


class MarkRead(Struct, frozen=True, gc=False):
    """Move the user's read position to `seq`; None: to the last seq written to this socket."""

    seq: int | None


class GetHistory(Struct, frozen=True, gc=False):
    """Request stored messages: those before a seq (None: the newest), or the events after one."""

    before_seq: int | None
    after_seq: int | None
    limit: int


class GetPresence(Struct, frozen=True, gc=False):
    """Request the list of connected users."""


class GetUsersPresence(Struct, frozen=True, gc=False):
    """Request whether these users are online; at most MAX_USERS."""

    user_ids: Sequence[int]


class SubscribePresence(Struct, frozen=True, gc=False):
    """The same, and push their changes, in place of those of users named before; none ends it."""

    user_ids: Sequence[int]


class Ping(Struct, frozen=True, gc=False):
    """Request a Pong."""


class Hello(Struct, frozen=True, gc=False):
    """Request a Greeting, which names the client's identity and repeats `message`."""

    message: str
    wants_expiry_warning: bool = False
    """Ask for TokenExpiring before the token expires."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """Continue the session with another token of the same user: only the end of the session moves."""

    token: str = field(repr=False)


class Subscribe(Struct, frozen=True, gc=False):
    """Request the pushes of a chat, starting with the events after `since` (None: with the next new event)."""

    since: Since | None


class Unsubscribe(Struct, frozen=True, gc=False):
    """End the subscription to a chat."""


Command = (
    SendMessage
    | EditMessage
    | DeleteMessage
    | React
    | SetTyping
    | MarkRead
    | GetHistory
    | GetPresence
    | GetUsersPresence
    | SubscribePresence
    | Ping
    | Hello
    | Refresh
    | Subscribe
    | Unsubscribe
)
