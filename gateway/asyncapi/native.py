"""Seed 000: `/ws/{client_id}`, the native protocol: the messages of seed 004 with a `chat_id` each."""

from typing import Annotated, Any, Final, Literal, NotRequired, TypedDict

from msgspec import Meta

from gateway.api.schemas import MessageObject, PresentObject
from gateway.api.users.presence import UserPresenceObject
from gateway.asyncapi import chat
from gateway.asyncapi.chat import DELETION, EPOCH, ERRORS, JOHN, MESSAGE, NOTICE, REACTION, UNREACTED
from gateway.asyncapi.family import ANYWHERE, Access, Family, Frame, written
from gateway.asyncapi.fields import Id, Ref, Seq
from gateway.asyncapi.native_commands import COMMANDS
from gateway.dialects.base import Request
from gateway.dialects.native import NativeDialect
from gateway.protocol.codes import Close
from gateway.protocol.commands import (
    GetHistory,
    GetPresence,
    GetUsersPresence,
    Hello,
    MarkRead,
    Ping,
    React,
    Refresh,
    SendMessage,
    Subscribe,
)
from gateway.protocol.pushes import MessagesRead, PresenceChange, PresenceCount, Typing
from gateway.protocol.replies import (
    CaughtUp,
    ChatActivity,
    ChatAdded,
    ChatRead,
    ChatRemoved,
    Direct,
    Done,
    ErrorReply,
    Established,
    Greeting,
    HistoryPage,
    Pong,
    PresenceState,
    Present,
    Reply,
    Reset,
    Stored,
    TokenExpiring,
    Truncated,
    UserPresence,
    UsersPresence,
)
from storage.records import MAX_UNREAD

# --- replies


class InChat(TypedDict):
    """The field of every message about a chat."""

    chat_id: Id


class HelloAnswer(TypedDict):
    """The response to `hello`: the client's identity and its own `message`.

    `user_id` is null for a client without a valid token. To a `hello` with an `id` it also has the node that serves the
    socket, and the longest text in code points.
    """

    type: Literal["hello"]
    client_id: str
    user_id: Id | None
    authenticated: bool
    message: str
    node: NotRequired[str]
    max_text_length: NotRequired[int]
    id: NotRequired[Ref]


class NativePongAnswer(chat.PongAnswer):
    """The response to `ping`."""

    id: NotRequired[Ref]


class NativeRefreshedAnswer(chat.RefreshedAnswer):
    """The response to `refresh`: the socket is closed with 4401 after `expires_at`, unless it is refreshed again."""

    id: NotRequired[Ref]


class NativeTokenExpiringPush(chat.TokenExpiringPush):
    """The socket will be closed with 4401 in so many seconds (30 or fewer), unless the client sends `refresh`.

    Only to a client that connected with `?refresh=1` or sent `hello` with `refresh`.
    """


class SubscribedResult(TypedDict):
    """The chat's last event, and its history."""

    last_seq: Seq
    epoch: str


class SubscribedAck(TypedDict):
    """The subscription is active; with `since`, the replay and `caught_up` follow before live messages."""

    type: Literal["ack"]
    chat_id: Id
    result: SubscribedResult
    id: NotRequired[Ref]


class StoredAck(TypedDict):
    """A message, an edit, a deletion or a reaction is stored; `duplicate` if it had been stored before."""

    type: Literal["ack"]
    id: Ref
    chat_id: Id
    message_id: Id
    seq: Seq
    client_msg_id: str
    epoch: str
    duplicate: NotRequired[bool]


class UnreactedAck(TypedDict):
    """The response to `react` with an `id`, if the reaction was there already, or not there: nothing was stored."""

    type: Literal["ack"]
    id: Ref
    chat_id: Id
    message_id: Id
    duplicate: bool


class DoneAck(TypedDict):
    """A command without a result succeeded."""

    type: Literal["ack"]
    id: Ref
    chat_id: Id


class HistoryResult(TypedDict):
    """The same as in the response to a command without an `id`."""

    messages: list[MessageObject]
    last_seq: Seq


class HistoryAck(TypedDict):
    """The response to `history` with an `id`."""

    type: Literal["ack"]
    id: Ref
    chat_id: Id
    result: HistoryResult


class PresenceResult(TypedDict):
    """The connected users, over all nodes."""

    members: list[PresentObject]


class PresenceAck(TypedDict):
    """The response to `presence` with an `id`."""

    type: Literal["ack"]
    id: Ref
    chat_id: Id
    result: PresenceResult


class UsersPresenceResult(TypedDict):
    """The users in the order of the request."""

    users: list[UserPresenceObject]


class UsersPresenceAck(TypedDict):
    """The response to `presence` of users with an `id`."""

    type: Literal["ack"]
    id: Ref
    result: UsersPresenceResult


class UsersPresenceAnswer(UsersPresenceResult):
    """The response to `presence` of users without an `id`."""

    type: Literal["users_presence"]


class NativeErrorAnswer(chat.ErrorAnswer):
    """A command was rejected, or (with `chat_id` and no `id`) a subscription has ended; the socket stays open."""

    id: NotRequired[Ref]
    chat_id: NotRequired[Id]


class NativeMessageAgain(chat.MessageAgain, InChat):
    """The response to a retry without an `id`."""


class NativeReactionAgain(chat.ReactionAgain, InChat):
    """The response to `react` without an `id` if nothing was stored."""


class NativeHistoryAnswer(chat.HistoryAnswer, InChat):
    """The response to `history` without an `id`."""


class NativePresenceAnswer(chat.PresenceAnswer, InChat):
    """The response to `presence` without an `id`."""


# --- pushes of the chats to which the socket is subscribed


class NativeMessagePush(chat.MessagePush, InChat):
    """A message, an edit or a deletion: the message's current state under its own `id`, by which clients upsert.

    `data.seq` is that of the event: 1, 2, 3 … without holes in its chat. The text of a deleted message is "". A system
    message has the `kind` `system` and no sender. `by` is who has edited or deleted the message of somebody else, null
    for a service.
    """


class NativeReactionPush(chat.ReactionPush, InChat):
    """A user has added a reaction to a message, or removed it. `counts` has the number of users of each key after it.

    An event with its own `seq`, like a message; the user who reacted gets it too.
    """


class NativeTypingPush(chat.TypingPush, InChat):
    """A user types, or has stopped typing; not sent to that user."""

    display_name: str


class NativeMessagesReadPush(chat.MessagesReadPush, InChat):
    """Another member has read up to `seq`; the user's own reads on other sockets are sent as `chat_read`."""

    display_name: str


class NativePresencePush(chat.PresencePush, InChat):
    """A user connected or disconnected; not sent to that user. `presence_count` replaces it above 50 connected."""

    display_name: str


class NativePresenceCountPush(chat.PresenceCountPush, InChat):
    """The number of connected users: at most once a second, in a chat with more than 50."""


# --- the user's own feed, on every socket of the user


class ChatAddedPush(TypedDict):
    """The user is a member of this chat from now on."""

    type: Literal["chat_added"]
    chat_id: Id


class ChatRemovedPush(TypedDict):
    """The user is no longer a member; a subscription to the chat has ended."""

    type: Literal["chat_removed"]
    chat_id: Id


class ChatActivityPush(TypedDict):
    """New events in one of the user's chats to which this socket is not subscribed; only the latest seq is sent."""

    type: Literal["chat_activity"]
    chat_id: Id
    last_seq: Seq


class ChatReadPush(TypedDict):
    """The user has read a chat up to `seq` on another socket, of any URL and node; sent with or without subscription.

    Successive reads may be merged into one with the last `seq`. `unread` counts the messages by others after it; 100
    means "100 or more", or that more than 1,000 events of any kind follow.
    """

    type: Literal["chat_read"]
    chat_id: Id
    seq: Seq
    unread: Annotated[int, Meta(ge=0, le=MAX_UNREAD)]


class NativeMemberChangedPush(chat.MemberChangedPush):
    """What a member of a subscribed chat may do has changed."""


class NativeChatChangedPush(chat.ChatChangedPush):
    """The title, data or rules of a chat have changed, to these; sent to members with or without a subscription."""


class UserPresencePush(UserPresenceObject):
    """A user of `subscribe_presence` has come online or gone offline."""

    type: Literal["user_presence"]


class DirectPush(TypedDict):
    """A payload that a service sent to this user or client_id: any JSON."""

    type: Literal["direct"]
    data: Any


_DIALECT: Final = NativeDialect()
_push = _DIALECT.push
_PRESENT: Final = PresenceState(1, [Present(1, JOHN.username, 1_705_314_600)])
_PAGE: Final = HistoryPage(1, [MESSAGE], 57)
_USERS: Final = UsersPresence([UserPresence(1, True, None), UserPresence(2, False, MESSAGE.created_at)])
_SENT: Final = Request(SendMessage("", None), "message", 1, 3)


def _reply(reply: Reply, request: Request | None = None) -> Any:
    return written(_DIALECT.reply(reply, request))


_ANSWERS: Final = (
    Frame(
        HelloAnswer,
        (
            _reply(Greeting("1705314600000", 1, "Привет, сервер!", "node-1"), Request(Hello(""), "hello", None, 0)),
            _reply(Greeting("1705314600000", None, "Привет, сервер!", "node-1")),
        ),
    ),
    Frame(NativePongAnswer, (_reply(Pong(), Request(Ping(), "ping", None, "p-1")),)),
    Frame(NativeRefreshedAnswer, (_reply(chat.REFRESHED, Request(Refresh("eyJ…"), "refresh", None, "r-1")),)),
    Frame(SubscribedAck, (_reply(Established(1, "", 57, EPOCH), Request(Subscribe(None), "subscribe", 1, 1)),)),
    Frame(StoredAck, tuple(_reply(Stored(MESSAGE, duplicate, EPOCH), _SENT) for duplicate in (False, True))),
    Frame(UnreactedAck, (_reply(UNREACTED, Request(React(123, "👍", False, None), "react", 1, 9)),)),
    Frame(DoneAck, (_reply(Done(), Request(MarkRead(57), "read_messages", 1, 6)),)),
    Frame(HistoryAck, (_reply(_PAGE, Request(GetHistory(57, None, 50), "history", 1, 7)),)),
    Frame(UsersPresenceAck, (_reply(_USERS, Request(GetUsersPresence([1, 2]), "presence", None, 9)),)),
    Frame(UsersPresenceAnswer, (_reply(_USERS, Request(GetUsersPresence([1, 2]), "presence")),)),
    Frame(PresenceAck, (_reply(_PRESENT, Request(GetPresence(), "presence", 1, 8)),)),
    Frame(
        NativeErrorAnswer,
        tuple(_reply(error, Request(Ping(), "", 1, 3)) for error in ERRORS if isinstance(error, ErrorReply)),
    ),
    Frame(NativeMessageAgain, (_reply(Stored(MESSAGE, duplicate=True, epoch=EPOCH), Request(Ping(), "message", 1)),)),
    Frame(NativeReactionAgain, (_reply(UNREACTED, Request(React(123, "👍", False, None), "react", 1)),)),
    Frame(NativeHistoryAnswer, (_reply(_PAGE, Request(Ping(), "history", 1)),)),
    Frame(NativePresenceAnswer, (_reply(_PRESENT, Request(Ping(), "presence", 1)),)),
)
PUSHES: Final = (
    Frame(
        NativeMessagePush,
        tuple(written(_push(event)) for event in (MESSAGE, chat.WITH_DATA, chat.REPLY, NOTICE, DELETION)),
    ),
    Frame(NativeReactionPush, (written(_push(REACTION)),)),
    Frame(NativeTypingPush, (written(_push(Typing(1, JOHN, is_typing=True))),)),
    Frame(NativeMessagesReadPush, (written(_push(MessagesRead(1, JOHN, 57))),)),
    Frame(NativePresencePush, (written(_push(PresenceChange(1, JOHN.id, JOHN.username, "join", 2))),)),
    Frame(NativePresenceCountPush, (written(_push(PresenceCount(1, 51))),)),
    Frame(chat.CaughtUpPush, (_reply(CaughtUp(1, 57, EPOCH)),)),
    Frame(chat.ResetPush, (_reply(Reset(1, 57, EPOCH)),)),
    Frame(chat.TruncatedPush, (_reply(Truncated(1, 40)),)),
    Frame(ChatAddedPush, (_reply(ChatAdded(1)),)),
    Frame(ChatRemovedPush, (_reply(ChatRemoved(1)),)),
    Frame(ChatActivityPush, (_reply(ChatActivity(1, 58)),)),
    Frame(ChatReadPush, (_reply(ChatRead(1, 57, 1)),)),
    Frame(NativeMemberChangedPush, tuple(written(_push(change)) for change in chat.CHANGED_MEMBERS)),
    Frame(NativeChatChangedPush, tuple(written(_push(changed)) for changed in chat.CHANGED)),
    Frame(NativeTokenExpiringPush, (_reply(TokenExpiring(30)),)),
    Frame(UserPresencePush, (_reply(UserPresence(1, True, None)),)),
    Frame(DirectPush, (_reply(Direct(b'{"any":["JSON",1.5,null]}')),)),
)

NATIVE: Final = Family(
    name="native",
    address="/ws/{client_id}",
    title="Many chats on one socket",
    description=(
        "The native protocol. A client with an invalid token or none is anonymous: it may send `hello` and `ping`, "
        "and subscribe to public chats. A command with an `id` gets exactly one reply, with the same `id`: an ack, an "
        "error, or for `hello` and `ping` their own type. Without one it gets the reply of `/ws/chat/{chat_id}/`, and "
        "`subscribe` an ack. Sending requires membership, not a subscription. The gateway does not send a greeting."
    ),
    access=Access.ANYBODY,
    commands=COMMANDS,
    frames=(*_ANSWERS, *PUSHES),
    closes=ANYWHERE | {Close.ABUSE},
    parameters={"client_id": "A label of the client's choice: 1 to 255 characters, percent-encoded; no credential."},
    takes_since=False,
)
