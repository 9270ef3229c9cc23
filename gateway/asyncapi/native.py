"""Seed 000: `/ws/{client_id}`, the native protocol: seed 004's words with the `chat_id` that each is about."""

from typing import Any, Final, Literal, NotRequired, TypedDict

from gateway.asyncapi import chat
from gateway.asyncapi.chat import EPOCH, ERRORS, JOHN, MESSAGE
from gateway.asyncapi.family import ANYWHERE, Access, Family, Frame, written
from gateway.asyncapi.fields import Id, Ref, Seq
from gateway.asyncapi.native_commands import COMMANDS
from gateway.codes import Close
from gateway.dialects.base import Request
from gateway.dialects.native import NativeDialect
from gateway.http.shapes import MessageObject, PresentObject
from gateway.messages import (
    CaughtUp,
    Done,
    ErrorReply,
    Established,
    GetHistory,
    GetPresence,
    Greeting,
    Hello,
    HistoryPage,
    MarkRead,
    MessagesRead,
    Ping,
    Pong,
    PresenceChange,
    PresenceCount,
    PresenceState,
    Present,
    Reply,
    Reset,
    SendMessage,
    Stored,
    Subscribe,
    Typing,
)
from gateway.notices import ChatActivity, ChatAdded, ChatRemoved, Direct

# --- answers


class InChat(TypedDict):
    """What everything bears that is told of a chat."""

    chat_id: Id


class HelloAnswer(TypedDict):
    """Who one is here, and one's own words. `user_id` is null for a client without a valid token."""

    type: Literal["hello"]
    client_id: str
    user_id: Id | None
    authenticated: bool
    message: str
    id: NotRequired[Ref]


class NativePongAnswer(chat.PongAnswer):
    """A sign of life."""

    id: NotRequired[Ref]


class SubscribedResult(TypedDict):
    """Where the chat stands, in which history."""

    last_seq: Seq
    epoch: str


class SubscribedAck(TypedDict):
    """One is subscribed; with `since`, the replay and `caught_up` follow, and then what is live."""

    type: Literal["ack"]
    chat_id: Id
    result: SubscribedResult
    id: NotRequired[Ref]


class StoredAck(TypedDict):
    """A message, an edit or a deletion is stored; `duplicate` where it was before."""

    type: Literal["ack"]
    id: Ref
    chat_id: Id
    message_id: Id
    seq: Seq
    client_msg_id: str
    epoch: str
    duplicate: NotRequired[bool]


class DoneAck(TypedDict):
    """A command was carried out, and there is nothing else to say."""

    type: Literal["ack"]
    id: Ref
    chat_id: Id


class HistoryResult(TypedDict):
    """As in the answer without an `id`."""

    messages: list[MessageObject]
    last_seq: Seq


class HistoryAck(TypedDict):
    """The answer to `history` with an `id`."""

    type: Literal["ack"]
    id: Ref
    chat_id: Id
    result: HistoryResult


class PresenceResult(TypedDict):
    """Who is connected, over all nodes."""

    members: list[PresentObject]


class PresenceAck(TypedDict):
    """The answer to `presence` with an `id`."""

    type: Literal["ack"]
    id: Ref
    chat_id: Id
    result: PresenceResult


class NativeErrorAnswer(chat.ErrorAnswer):
    """A command was refused, or (with `chat_id` alone) a subscription has ended; the socket lives."""

    id: NotRequired[Ref]
    chat_id: NotRequired[Id]


class NativeMessageAgain(chat.MessageAgain, InChat):
    """The answer to a retry without an `id`."""


class NativeHistoryAnswer(chat.HistoryAnswer, InChat):
    """The answer to `history` without an `id`."""


class NativePresenceAnswer(chat.PresenceAnswer, InChat):
    """The answer to `presence` without an `id`."""


# --- pushes: of the chats that one is subscribed to


class NativeMessagePush(chat.MessagePush, InChat):
    """A message, an edit or a deletion: the message's present state under its own `id`, by which clients upsert.

    `data.seq` is the event's: 1, 2, 3 … without holes in its chat. A deleted text is "".
    """


class NativeTypingPush(chat.TypingPush, InChat):
    """Somebody types, or has stopped; never told to its author."""


class NativeMessagesReadPush(chat.MessagesReadPush, InChat):
    """Somebody has read up to `seq`; never told to its author."""


class NativePresencePush(chat.PresencePush, InChat):
    """Somebody came or went; never told to its author. Above 50 connected, `presence_count` is told instead."""


class NativePresenceCountPush(chat.PresenceCountPush, InChat):
    """How many users are connected: at most once a second, in a chat of more than 50."""


# --- the user's own feed, on every socket of the user's


class ChatAddedPush(TypedDict):
    """The user is a member of this chat now."""

    type: Literal["chat_added"]
    chat_id: Id


class ChatRemovedPush(TypedDict):
    """The user is a member no longer; a subscription to the chat has ended."""

    type: Literal["chat_removed"]
    chat_id: Id


class ChatActivityPush(TypedDict):
    """Something was stored in a chat of the user's that this socket is not subscribed to; the latest seq only."""

    type: Literal["chat_activity"]
    chat_id: Id
    last_seq: Seq


class DirectPush(TypedDict):
    """What a service has to say to this user or client_id: any JSON."""

    type: Literal["direct"]
    data: Any


_DIALECT: Final = NativeDialect()
_push = _DIALECT.push
_PRESENT: Final = PresenceState(1, [Present(1, JOHN.username, 1_705_314_600)])
_PAGE: Final = HistoryPage(1, [MESSAGE], 57)


def _reply(reply: Reply, request: Request | None = None) -> Any:
    return written(_DIALECT.reply(reply, request))


_ANSWERS: Final = (
    Frame(
        HelloAnswer,
        (
            _reply(Greeting("1705314600000", 1, "Привет, сервер!"), Request(Hello(""), "hello", None, 0)),
            _reply(Greeting("1705314600000", None, "Привет, сервер!")),
        ),
    ),
    Frame(NativePongAnswer, (_reply(Pong(), Request(Ping(), "ping", None, "p-1")),)),
    Frame(SubscribedAck, (_reply(Established(1, "", 57, EPOCH), Request(Subscribe(None), "subscribe", 1, 1)),)),
    Frame(
        StoredAck,
        tuple(
            _reply(Stored(MESSAGE, duplicate, EPOCH), Request(SendMessage("", None), "message", 1, 3))
            for duplicate in (False, True)
        ),
    ),
    Frame(DoneAck, (_reply(Done(), Request(MarkRead(57), "read_messages", 1, 6)),)),
    Frame(HistoryAck, (_reply(_PAGE, Request(GetHistory(57, None, 50), "history", 1, 7)),)),
    Frame(PresenceAck, (_reply(_PRESENT, Request(GetPresence(), "presence", 1, 8)),)),
    Frame(
        NativeErrorAnswer,
        tuple(_reply(error, Request(Ping(), "", 1, 3)) for error in ERRORS if isinstance(error, ErrorReply)),
    ),
    Frame(NativeMessageAgain, (_reply(Stored(MESSAGE, duplicate=True, epoch=EPOCH), Request(Ping(), "message", 1)),)),
    Frame(NativeHistoryAnswer, (_reply(_PAGE, Request(Ping(), "history", 1)),)),
    Frame(NativePresenceAnswer, (_reply(_PRESENT, Request(Ping(), "presence", 1)),)),
)
_PUSHES: Final = (
    Frame(NativeMessagePush, (written(_push(MESSAGE)),)),
    Frame(NativeTypingPush, (written(_push(Typing(1, JOHN, is_typing=True))),)),
    Frame(NativeMessagesReadPush, (written(_push(MessagesRead(1, JOHN, 57))),)),
    Frame(NativePresencePush, (written(_push(PresenceChange(1, JOHN.id, JOHN.username, "join", 2))),)),
    Frame(NativePresenceCountPush, (written(_push(PresenceCount(1, 51))),)),
    Frame(chat.CaughtUpPush, (_reply(CaughtUp(1, 57, EPOCH)),)),
    Frame(chat.ResetPush, (_reply(Reset(1, 57, EPOCH)),)),
    Frame(ChatAddedPush, (_reply(ChatAdded(1)),)),
    Frame(ChatRemovedPush, (_reply(ChatRemoved(1)),)),
    Frame(ChatActivityPush, (_reply(ChatActivity(1, 58)),)),
    Frame(DirectPush, (_reply(Direct(b'{"any":["JSON",1.5,null]}')),)),
)

NATIVE: Final = Family(
    name="native",
    address="/ws/{client_id}",
    title="Many chats on one socket (seed 000)",
    description=(
        "The native protocol. A bad or missing token means an anonymous client, which may greet, ping, and watch "
        "public chats. A command with an `id` gets exactly one answer, which bears it: an ack, an error, or for "
        "`hello` and `ping` their own kind; one without is answered as in seed 004, and `subscribe` by an ack. "
        "Sending needs membership, not a subscription. There is no greeting."
    ),
    access=Access.ANYBODY,
    commands=COMMANDS,
    frames=(*_ANSWERS, *_PUSHES),
    closes=ANYWHERE | {Close.FORBIDDEN, Close.ABUSE},
    parameters={"client_id": "A label of the client's choice: 1 to 255 characters, percent-encoded; no credential."},
    takes_since=False,
)
