"""Seed 004: `/ws/chat/{chat_id}/`; and the public channel of seed 003, which speaks the same and takes plain text."""

from datetime import UTC, datetime
from typing import Final, Literal, NotRequired, TypedDict

from gateway.asyncapi.chat_commands import COMMANDS, PlainText
from gateway.asyncapi.family import IN_A_CHAT, Access, Family, Frame, written
from gateway.asyncapi.fields import Id, Seq
from gateway.codes import Close, ErrorCode
from gateway.dialects.chat import ChatDialect
from gateway.http.shapes import MessageObject, PresentObject
from gateway.messages import (
    CaughtUp,
    ErrorReply,
    Established,
    HistoryPage,
    MessagesRead,
    Pong,
    PresenceChange,
    PresenceCount,
    PresenceState,
    Present,
    Reset,
    Stored,
    Typing,
)
from gateway.refusals import UNAVAILABLE
from storage.records import ChatEvent, EventKind, Person


class ConnectionEstablished(TypedDict):
    """The greeting: from here on it is live, unless the client came with `since`."""

    type: Literal["connection_established"]
    message: str
    chat_id: Id
    node: str
    last_seq: Seq
    epoch: str


class MessagePush(TypedDict):
    """A message, an edit or a deletion: the message's present state under its own `id`, by which clients upsert.

    `data.seq` is the event's: 1, 2, 3 … without holes. A deleted text is "". The sender gets it too.
    """

    type: Literal["message"]
    data: MessageObject


class MessageAgain(MessagePush):
    """The answer to a retry: what was stored the first time. Match it before de-duplicating by seq."""

    duplicate: bool


class TypingPush(TypedDict):
    """Somebody types, or has stopped; never told to its author."""

    type: Literal["typing"]
    user_id: Id
    username: str
    is_typing: bool


class MessagesReadPush(TypedDict):
    """Somebody has read up to `seq`; never told to its author."""

    type: Literal["messages_read"]
    user_id: Id
    username: str
    seq: Seq


class PresencePush(TypedDict):
    """Somebody came or went; never told to its author. Above 50 connected, `presence_count` is told instead."""

    type: Literal["presence"]
    user_id: Id
    username: str
    status: Literal["join", "leave"]


class PresenceCountPush(TypedDict):
    """How many users are connected: at most once a second, in a chat of more than 50."""

    type: Literal["presence_count"]
    count: int


class HistoryAnswer(TypedDict):
    """Stored messages, ascending, perhaps fewer than asked for: only an empty page says that there is nothing more.

    The chat's last event is `last_seq`.
    """

    type: Literal["history"]
    messages: list[MessageObject]
    last_seq: Seq


class PresenceAnswer(TypedDict):
    """Who is connected, over all nodes."""

    type: Literal["presence_state"]
    members: list[PresentObject]


class CaughtUpPush(TypedDict):
    """The replay that `since` asked for is over: all up to `seq` was written, from here on it is live."""

    type: Literal["caught_up"]
    chat_id: Id
    seq: Seq
    epoch: str


class ResetPush(TypedDict):
    """The position that the client came with is of another history: reload what is known of the chat."""

    type: Literal["reset"]
    chat_id: Id
    last_seq: Seq
    epoch: str


class PongAnswer(TypedDict):
    """A sign of life."""

    type: Literal["pong"]


class ErrorAnswer(TypedDict):
    """A command was refused, and the socket lives. `message` is for people, `code` for programs."""

    type: Literal["error"]
    message: str
    code: ErrorCode
    retry_after_s: NotRequired[float]


EPOCH: Final = "7f3c-1-0"
JOHN: Final = Person(1, "john_doe", "John", "Doe")
MESSAGE: Final = ChatEvent(
    chat_id=1,
    seq=57,
    kind=EventKind.MESSAGE,
    message_id=123,
    sender=JOHN,
    text="Привет, как дела?",
    created_at=datetime(2024, 1, 15, 10, 30, tzinfo=UTC),
    is_edited=False,
    is_deleted=False,
    client_msg_id="c-1",
)
_DIALECT: Final = ChatDialect()
_push, _reply = _DIALECT.push, _DIALECT.reply

ERRORS: Final = (
    _DIALECT.decode(b"not json", is_text=True),
    _DIALECT.decode(b'{"type":"message","text":""}', is_text=True),
    _DIALECT.decode(b'{"type":"invalid_type"}', is_text=True),
    UNAVAILABLE,
)
_FRAMES: Final = (
    Frame(ConnectionEstablished, (written(_reply(Established(1, "node-1", 57, EPOCH), None)),)),
    Frame(MessagePush, (written(_push(MESSAGE)),)),
    Frame(MessageAgain, (written(_reply(Stored(MESSAGE, duplicate=True, epoch=EPOCH), None)),)),
    Frame(TypingPush, (written(_push(Typing(1, JOHN, is_typing=True))),)),
    Frame(MessagesReadPush, (written(_push(MessagesRead(1, JOHN, 57))),)),
    Frame(PresencePush, (written(_push(PresenceChange(1, JOHN.id, JOHN.username, "join", 2))),)),
    Frame(PresenceCountPush, (written(_push(PresenceCount(1, 51))),)),
    Frame(HistoryAnswer, (written(_reply(HistoryPage(1, [MESSAGE], 57), None)),)),
    Frame(PresenceAnswer, (written(_reply(PresenceState(1, [Present(1, JOHN.username, 1_705_314_600)]), None)),)),
    Frame(CaughtUpPush, (written(_reply(CaughtUp(1, 57, EPOCH), None)),)),
    Frame(ResetPush, (written(_reply(Reset(1, 57, EPOCH), None)),)),
    Frame(PongAnswer, (written(_reply(Pong(), None)),)),
    Frame(ErrorAnswer, tuple(written(_reply(error, None)) for error in ERRORS if isinstance(error, ErrorReply))),
)

CHAT: Final = Family(
    name="chat",
    address="/ws/chat/{chat_id}/",
    title="One chat (seed 004)",
    description=(
        "For the members of a chat of any kind. One connection per user and chat over all nodes: the newer wins, and "
        "the older is closed with 4409 (`SECOND_CONNECTION` gives other rules)."
    ),
    access=Access.USER,
    commands=COMMANDS,
    frames=_FRAMES,
    closes=IN_A_CHAT | {Close.REPLACED},
    parameters={"chat_id": "The chat's id."},
)
PUBLIC: Final = Family(
    name="public",
    address="/channels/public",
    title="The public channel (seed 003)",
    description=(
        "One chat for every user, in the words of seed 004. Who comes without `since` is told everything from the "
        "first message on. The link that `GET /pub_ws` answers has a one-use ticket in its `token`."
    ),
    access=Access.USER,
    commands=(*COMMANDS, Frame(PlainText, ("Привет всем!",), "text/plain")),
    frames=_FRAMES,
    closes=IN_A_CHAT,
)
