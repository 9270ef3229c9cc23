"""What sessions, the node and the dialects say to each other: commands in, replies and pushes out, publications across.

Plain values without behaviour; JSON exists only in `dialects/` and `publications`. A stored event is pushed as the
`ChatEvent` that storage hands out.
"""

import itertools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from gateway.codes import ErrorCode
from gateway.notices import Notice
from storage.records import ChatEvent, Person

MAX_CLIENT_MSG_ID = 64
MAX_HISTORY = 200
MAX_ID = 2**63 - 1  # what a BIGINT column holds


@dataclass(frozen=True, slots=True)
class Since:
    """The last seq that the client has; `epoch` None trusts that the history is still the same."""

    seq: int
    epoch: str | None = None


# --- commands: a client asks


@dataclass(frozen=True, slots=True)
class SendMessage:
    """Store a message; `text` is checked."""

    text: str
    client_msg_id: str | None


@dataclass(frozen=True, slots=True)
class EditMessage:
    """Give one of one's own messages another text."""

    message_id: int
    text: str
    client_msg_id: str | None


@dataclass(frozen=True, slots=True)
class DeleteMessage:
    """Take back one of one's own messages."""

    message_id: int
    client_msg_id: str | None


@dataclass(frozen=True, slots=True)
class SetTyping:
    """Say that one is typing, or no longer."""

    is_typing: bool


@dataclass(frozen=True, slots=True)
class MarkRead:
    """Move one's read position to `seq`; None: to the last seq written to this socket."""

    seq: int | None


@dataclass(frozen=True, slots=True)
class GetHistory:
    """Ask for stored messages: those before a seq (None: the newest), or the events after one."""

    before_seq: int | None
    after_seq: int | None
    limit: int


@dataclass(frozen=True, slots=True)
class GetPresence:
    """Ask who is connected."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Ask for a sign of life."""


@dataclass(frozen=True, slots=True)
class Hello:
    """Ask who one is here."""

    message: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Ask for what is pushed in a chat, and first for what came after `since` (None: with what comes)."""

    since: Since | None


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Ask for no more of it."""


Command = (
    SendMessage
    | EditMessage
    | DeleteMessage
    | SetTyping
    | MarkRead
    | GetHistory
    | GetPresence
    | Ping
    | Hello
    | Subscribe
    | Unsubscribe
)


# --- replies: the answer to one command, for one session


@dataclass(frozen=True, slots=True)
class Established:
    """The session is in the chat, whose last event is `last_seq`."""

    chat_id: int
    node: str
    last_seq: int
    epoch: str


@dataclass(frozen=True, slots=True)
class Stored:
    """The command's event is in the database; `duplicate`: it was there before.

    `epoch` is the history's in which the node was when it took the command, or an older one: with the seq it is a
    position, which is refused sooner than it is mistaken.
    """

    event: ChatEvent
    duplicate: bool
    epoch: str


@dataclass(frozen=True, slots=True)
class Done:
    """The command was carried out, and there is nothing to say about it."""


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Stored messages, ascending."""

    chat_id: int
    events: Sequence[ChatEvent]
    last_seq: int


@dataclass(frozen=True, slots=True)
class Present:
    """A user who is connected, since `connected_at` (Unix seconds)."""

    user_id: int
    username: str
    connected_at: int


@dataclass(frozen=True, slots=True)
class PresenceState:
    """Who is connected to the chat, over all nodes."""

    chat_id: int
    members: Sequence[Present]


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """A resume is over: everything up to `seq` was written, from here on it is live."""

    chat_id: int
    seq: int
    epoch: str


@dataclass(frozen=True, slots=True)
class Reset:
    """The client's position is of another history: it must reload; the chat's last event is `last_seq`."""

    chat_id: int
    last_seq: int
    epoch: str


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to Ping."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """The answer to Hello: who one is here, and one's own words."""

    client_id: str
    user_id: int | None
    message: str


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """A command was refused; the socket lives. `message` is for people, `code` for programs.

    `ref` is what a command was numbered with that could not be read any further.
    """

    code: ErrorCode
    message: str
    retry_after_s: float | None = None
    ref: str | int | None = None


Reply = (
    Established | Stored | Done | HistoryPage | PresenceState | CaughtUp | Reset | Pong | Greeting | ErrorReply | Notice
)


# --- pushes: unsolicited, the same for every subscriber of a chat


@dataclass(frozen=True, slots=True)
class Typing:
    """Somebody types, or stopped; never pushed to its author."""

    chat_id: int
    person: Person
    is_typing: bool


@dataclass(frozen=True, slots=True)
class MessagesRead:
    """Somebody's read position moved to `seq`; never pushed to its author."""

    chat_id: int
    person: Person
    seq: int


@dataclass(frozen=True, slots=True)
class PresenceChange:
    """Somebody came or went, `count` users are present now; never pushed to its author."""

    chat_id: int
    user_id: int
    username: str
    status: Literal["join", "leave"]
    count: int


@dataclass(frozen=True, slots=True)
class PresenceCount:
    """How many users are present: what a large chat gets in place of PresenceChange."""

    chat_id: int
    count: int


Push = ChatEvent | Typing | MessagesRead | PresenceChange | PresenceCount


# --- control: between nodes only


@dataclass(frozen=True, slots=True)
class Takeover:
    """A newer exclusive seat of this user: those with a lower (claim, connection_id) must close."""

    chat_id: int
    user_id: int
    claim: int
    connection_id: str


@dataclass(frozen=True, slots=True)
class CrowdedOut:
    """The chat is full of users who came before this one, whose seats with claims up to this one must close."""

    chat_id: int
    user_id: int
    claim: int


@dataclass(frozen=True, slots=True)
class MemberRemoved:
    """This user is no longer a member of the chat."""

    chat_id: int
    user_id: int


Publication = ChatEvent | Typing | MessagesRead | PresenceChange | Takeover | CrowdedOut | MemberRemoved


@dataclass(frozen=True, slots=True)
class RateLimited:
    """The user's minute is full; a message may be stored in `retry_after_s`."""

    retry_after_s: float


def check_text(text: object, max_length: int) -> ErrorCode | None:
    """What is wrong with a message's text, if anything; lengths in code points.

    PostgreSQL stores no NUL, and a lone surrogate has no UTF-8.
    """
    if not isinstance(text, str) or not text or text.isspace():
        return ErrorCode.EMPTY_TEXT
    if len(text) > max_length:
        return ErrorCode.TEXT_TOO_LONG
    if "\x00" in text or not _is_encodable(text):
        return ErrorCode.INVALID_TEXT
    return None


def _is_encodable(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_client_msg_id(value: object) -> bool:
    """Whether `value` may be a client_msg_id: 1–64 characters that a database can store."""
    return (
        isinstance(value, str) and 1 <= len(value) <= MAX_CLIENT_MSG_ID and "\x00" not in value and _is_encodable(value)
    )


def message_object(event: ChatEvent) -> dict[str, object]:
    """Seed 004's `data` object of a message, which the HTTP API shares."""
    sender = event.sender
    return {
        "id": event.message_id,
        "text": event.text,
        "sender": {
            "id": sender.id,
            "username": sender.username,
            "first_name": sender.first_name,
            "last_name": sender.last_name,
        },
        "timestamp": event.created_at,
        "is_edited": event.is_edited,
        "is_deleted": event.is_deleted,
        "seq": event.seq,
        "client_msg_id": event.client_msg_id,
    }


def present_object(present: Present) -> dict[str, object]:
    """Who is connected, as seed 004's dialect and the HTTP API say it."""
    return {
        "user_id": present.user_id,
        "username": present.username,
        "connected_at": datetime.fromtimestamp(present.connected_at, UTC),
    }


_GENERATED = "node-"
_PROCESS = f"{_GENERATED}{uuid.uuid4().hex}-"
_numbers = itertools.count()


def new_client_msg_id() -> str:
    """An id for a message whose client gave none, so that the node can retry a commit whose outcome is unknown.

    Unique for ever: the process drew lots once, and numbers its messages. To draw for each was a twentieth of its cost.
    """
    return f"{_PROCESS}{next(_numbers):x}"


def may_be_retry(client_msg_id: str) -> bool:
    """Whether a client chose this id, so that it may name a message that is stored already."""
    return not client_msg_id.startswith(_GENERATED)
