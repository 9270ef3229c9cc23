"""Replies to one session's command, and notices to a user's sockets about chats they are not subscribed to."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.protocol.codes import ErrorCode
from gateway.protocol.pushes import MessagesRead
from storage.records import ChatEvent


@dataclass(frozen=True, slots=True)
class ChatAdded:
    """The user has become a member of this chat."""

    chat_id: int


@dataclass(frozen=True, slots=True)
class ChatRemoved:
    """The user is no longer a member of this chat; any subscription to it has ended."""

    chat_id: int


@dataclass(frozen=True, slots=True)
class ChatActivity:
    """A chat of the user that the socket is not subscribed to has new events; a hint, and only the latest is kept."""

    chat_id: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class ChatRead:
    """The user has read a chat up to `seq` on another socket; `unread` as in `storage.records.ReadPosition`."""

    chat_id: int
    seq: int
    unread: int


@dataclass(frozen=True, slots=True)
class Direct:
    """A message from a service to a user or a client: any JSON, passed on unchanged."""

    json: bytes


Notice = ChatAdded | ChatRemoved | ChatActivity | ChatRead | Direct


@dataclass(frozen=True, slots=True)
class Established:
    """The session has joined the chat, whose last event is `last_seq`."""

    chat_id: int
    node: str
    last_seq: int
    epoch: str


@dataclass(frozen=True, slots=True)
class Stored:
    """The command's event is in the database; `duplicate` if it was stored before.

    `epoch` and the seq form a position. `epoch` is the one that the node knew when it accepted the command, or an older
    one: a wrong epoch makes the position rejected on resume, never misread as one of another history.
    """

    event: ChatEvent
    duplicate: bool
    epoch: str


@dataclass(frozen=True, slots=True)
class Done:
    """The command succeeded and has no result."""


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Stored events in ascending order."""

    chat_id: int
    events: Sequence[ChatEvent]
    last_seq: int


@dataclass(frozen=True, slots=True)
class Present:
    """A connected user; `connected_at` is in Unix seconds."""

    user_id: int
    username: str
    connected_at: int


@dataclass(frozen=True, slots=True)
class PresenceState:
    """The users connected to the chat on all nodes."""

    chat_id: int
    members: Sequence[Present]


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """A resume has ended: every event up to `seq` was written, and later events are pushed live."""

    chat_id: int
    seq: int
    epoch: str


@dataclass(frozen=True, slots=True)
class Reset:
    """The client's position belongs to another history, so it must reload; the chat's last event is `last_seq`."""

    chat_id: int
    last_seq: int
    epoch: str


@dataclass(frozen=True, slots=True)
class Pong:
    """The reply to Ping."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The reply to Refresh: the session now ends at `expires_at` (Unix seconds)."""

    expires_at: float


@dataclass(frozen=True, slots=True)
class TokenExpiring:
    """The session ends in so many seconds, unless the client refreshes it."""

    expires_in_s: int


@dataclass(frozen=True, slots=True)
class Greeting:
    """The reply to Hello: the client's identity, and the message that it sent."""

    client_id: str
    user_id: int | None
    message: str


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """A command was rejected; the socket stays open. `message` is for people, `code` for programs.

    `ref` is the id of a command whose other fields could not be decoded.
    """

    code: ErrorCode
    message: str
    retry_after_s: float | None = None
    ref: str | int | None = None


_Answer = Established | Stored | Done | HistoryPage | PresenceState | CaughtUp | Reset | Pong | Greeting | ErrorReply
Reply = _Answer | Refreshed | TokenExpiring | MessagesRead | Notice
