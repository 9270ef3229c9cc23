"""Replies to one session's command, and notices to a user's sockets about chats they are not subscribed to."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from gateway.protocol.codes import ErrorCode
from gateway.protocol.pushes import ChatChanged, MessagesRead
from storage.reaction_records import NO_REACTIONS, OwnReactions, Reaction
from storage.records import ChatEvent


class ChatAdded(Struct, frozen=True, gc=False):
    """The user has become a member of this chat."""

    chat_id: int


class ChatRemoved(Struct, frozen=True, gc=False):
    """The user is no longer a member of this chat; any subscription to it has ended."""

    chat_id: int


class ChatActivity(Struct, frozen=True, gc=False):
    """A chat of the user that the socket is not subscribed to has new events; a hint, and only the latest is kept."""

    chat_id: int
    last_seq: int


class ChatRead(Struct, frozen=True, gc=False):
    """The user has read a chat up to `seq` on another socket; `unread` as in `storage.records.ReadPosition`."""

    chat_id: int
    seq: int
    unread: int


class Direct(Struct, frozen=True, gc=False):
    """A message from a service to a user or a client: any JSON, passed on unchanged."""

    json: bytes


class UserPresence(Struct, frozen=True, gc=False):
    """Whether a user has a socket on any node; `last_seen_at` is known of one who is offline, and was seen before."""

    user_id: int
    online: bool
    last_seen_at: datetime | None


Notice = ChatAdded | ChatRemoved | ChatActivity | ChatRead | ChatChanged | UserPresence | Direct


class Established(Struct, frozen=True, gc=False):
    """The session has joined the chat, whose last event is `last_seq`."""

    chat_id: int
    node: str
    last_seq: int
    epoch: str


class Stored(Struct, frozen=True, gc=False):
    """The command's event is in the database; `duplicate` if it was stored before.

    `epoch` and the seq form a position. `epoch` is the one that the node knew when it accepted the command, or an older
    one: a wrong epoch makes the position rejected on resume, never misread as one of another history.
    """

    event: ChatEvent
    duplicate: bool
    epoch: str


class Unreacted(Struct, frozen=True, gc=False):
    """The command asked for a reaction as it was already: nothing is stored. `counts` as in `Reaction`."""

    message_id: int
    reaction: Reaction


class Done(Struct, frozen=True, gc=False):
    """The command succeeded and has no result."""


class HistoryPage(Struct, frozen=True, gc=False):
    """Stored events in ascending order, and the requesting user's own reactions to their messages."""

    chat_id: int
    events: Sequence[ChatEvent]
    last_seq: int
    own_reactions: OwnReactions = NO_REACTIONS


class Present(Struct, frozen=True, gc=False):
    """A connected user; `connected_at` is in Unix seconds. `display_name` is "" where it was not looked up."""

    user_id: int
    username: str
    connected_at: int
    display_name: str = ""


class UsersPresence(Struct, frozen=True, gc=False):
    """The presence of users, in the order of the request."""

    users: Sequence[UserPresence]


class PresenceState(Struct, frozen=True, gc=False):
    """The users connected to the chat on all nodes."""

    chat_id: int
    members: Sequence[Present]


class CaughtUp(Struct, frozen=True, gc=False):
    """A resume has ended: every event up to `seq` was written, and later events are pushed live."""

    chat_id: int
    seq: int
    epoch: str


class Reset(Struct, frozen=True, gc=False):
    """The client's position belongs to another history, so it must reload; the chat's last event is `last_seq`."""

    chat_id: int
    last_seq: int
    epoch: str


class Truncated(Struct, frozen=True, gc=False):
    """Retention has removed events below `first_seq` that the client has not seen; the replay goes on from there."""

    chat_id: int
    first_seq: int


class Pong(Struct, frozen=True, gc=False):
    """The reply to Ping."""


class Refreshed(Struct, frozen=True, gc=False):
    """The reply to Refresh: the session now ends at `expires_at` (Unix seconds)."""

    expires_at: float


class TokenExpiring(Struct, frozen=True, gc=False):
    """The session ends in so many seconds, unless the client refreshes it."""

    expires_in_s: int


class Greeting(Struct, frozen=True, gc=False):
    """The reply to Hello: the client's identity, the message that it sent, and the node that serves it."""

    client_id: str
    user_id: int | None
    message: str
    node: str


class ErrorReply(Struct, frozen=True, gc=False):
    """A command was rejected; the socket stays open. `message` is for people, `code` for programs.

    `ref` is the id of a command whose other fields could not be decoded.
    """

    code: ErrorCode
    message: str
    retry_after_s: float | None = None
    ref: str | int | None = None


_Answer = (
    Established
    | Stored
    | Unreacted
    | Done
    | HistoryPage
    | PresenceState
    | UsersPresence
    | CaughtUp
    | Reset
    | Truncated
    | Pong
    | Greeting
    | ErrorReply
)
Reply = _Answer | Refreshed | TokenExpiring | MessagesRead | Notice
