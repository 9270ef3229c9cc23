"""Seed 004: `/ws/chat/{chat_id}/`; and the public channel of seed 003, with the same messages and plain text."""

from datetime import UTC, datetime
from typing import Any, Final, Literal, NotRequired, TypedDict

from msgspec.structs import replace

from gateway.api.schemas import MessageObject, PresentObject
from gateway.asyncapi.chat_commands import COMMANDS, DATA, PlainText
from gateway.asyncapi.family import IN_A_CHAT, Access, Family, Frame, written
from gateway.asyncapi.fields import Id, ReactionKey, Seq
from gateway.dialects.chat import ChatDialect
from gateway.protocol.codes import Close, ErrorCode
from gateway.protocol.pushes import ChatChanged, MemberChanged, MessagesRead, PresenceChange, PresenceCount, Typing
from gateway.protocol.refusals import UNAVAILABLE
from gateway.protocol.replies import (
    CaughtUp,
    ErrorReply,
    Established,
    HistoryPage,
    Pong,
    PresenceState,
    Present,
    Refreshed,
    Reset,
    Stored,
    TokenExpiring,
    Truncated,
    Unreacted,
)
from httpapi.bounded_json import to_json
from storage.chat_records import ChatDetails
from storage.reaction_records import Reaction
from storage.records import SYSTEM, ChatEvent, EventKind, Person, RepliedTo


class ConnectionEstablished(TypedDict):
    """The first message after a connect. Live messages follow, or the replay if the client has sent `since`.

    `max_text_length` is in code points.
    """

    type: Literal["connection_established"]
    message: str
    chat_id: Id
    node: str
    last_seq: Seq
    epoch: str
    max_text_length: int


class MessagePush(TypedDict):
    """A message, an edit or a deletion: the message's current state under its own `id`, by which clients upsert.

    `data.seq` is that of the event: 1, 2, 3 … without holes. The text of a deleted message is "", and it has no
    data. The sender gets it too. A system message has the `kind` `system`, and a sender with the id 0. `by` is who has
    edited or deleted the message of somebody else; the id 0 is a service.
    """

    type: Literal["message"]
    data: MessageObject


class _Reaction(TypedDict):
    type: Literal["reaction"]
    message_id: Id
    key: ReactionKey
    user_id: Id
    removed: bool
    counts: dict[str, int]


class ReactionPush(_Reaction):
    """A user has added a reaction to a message, or removed it. `counts` has the number of users of each key after it.

    An event with its own `seq`, like a message; the user who reacted gets it too.
    """

    seq: Seq
    client_msg_id: str


class ReactionAgain(_Reaction):
    """The response to `react` if the message had this reaction already, or did not have it; nothing was stored.

    A retry with the same `client_msg_id` gets the first event again, with its `seq`.
    """

    duplicate: bool
    seq: NotRequired[Seq]
    client_msg_id: NotRequired[str]


class MessageAgain(MessagePush):
    """The response to a retry: the message that was stored first. Match it before de-duplicating by seq."""

    duplicate: bool


class TypingPush(TypedDict):
    """A user types, or has stopped typing; not sent to that user."""

    type: Literal["typing"]
    user_id: Id
    username: str
    is_typing: bool


class MessagesReadPush(TypedDict):
    """A member has read up to `seq`; sent to all sockets except the one that has read, also to the reader's others.

    With more than 50 users connected, only the reader's other sockets get it. For them, successive reads may be merged
    into one.
    """

    type: Literal["messages_read"]
    user_id: Id
    username: str
    seq: Seq


class PresencePush(TypedDict):
    """A user connected or disconnected; not sent to that user. `presence_count` replaces it above 50 connected."""

    type: Literal["presence"]
    user_id: Id
    username: str
    status: Literal["join", "leave"]


class PresenceCountPush(TypedDict):
    """The number of connected users: at most once a second, in a chat with more than 50."""

    type: Literal["presence_count"]
    count: int


class MemberChangedPush(TypedDict):
    """What a member may do has changed: its role (`owner` for the owner), or until when it is muted."""

    type: Literal["member_changed"]
    chat_id: Id
    user_id: Id
    role: str
    muted_until: datetime | None


class ChatChangedPush(TypedDict):
    """The title, data or rules of the chat have changed, to these; of many changes only the last is pushed."""

    type: Literal["chat_changed"]
    chat_id: Id
    title: str
    key: str | None
    data: dict[str, Any] | None
    frozen: bool
    slow_mode_s: int
    retention_days: int | None


class HistoryAnswer(TypedDict):
    """Stored messages in ascending order, possibly fewer than requested: only an empty page is the end.

    `last_seq` is the chat's last event.
    """

    type: Literal["history"]
    messages: list[MessageObject]
    last_seq: Seq


class PresenceAnswer(TypedDict):
    """The connected users, over all nodes."""

    type: Literal["presence_state"]
    members: list[PresentObject]


class CaughtUpPush(TypedDict):
    """The end of the replay that `since` requested: all events up to `seq` were sent, and live messages follow."""

    type: Literal["caught_up"]
    chat_id: Id
    seq: Seq
    epoch: str


class ResetPush(TypedDict):
    """The client's position belongs to another history: the client must discard and reload the chat."""

    type: Literal["reset"]
    chat_id: Id
    last_seq: Seq
    epoch: str


class TruncatedPush(TypedDict):
    """Retention has removed events below `first_seq` that the client has not seen: the replay goes on from there."""

    type: Literal["truncated"]
    chat_id: Id
    first_seq: Seq


class PongAnswer(TypedDict):
    """The response to `ping`."""

    type: Literal["pong"]


class RefreshedAnswer(TypedDict):
    """The response to `refresh`: the socket is closed with 4401 after `expires_at`, unless it is refreshed again."""

    type: Literal["refreshed"]
    expires_at: datetime


class TokenExpiringPush(TypedDict):
    """The socket will be closed with 4401 in so many seconds (30 or fewer), unless the client sends `refresh`.

    Only to a client that connected with `?refresh=1`.
    """

    type: Literal["token_expiring"]
    expires_in_s: int


class ErrorAnswer(TypedDict):
    """A command was rejected; the socket stays open. `message` is for people, `code` for programs."""

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
WITH_DATA: Final = replace(MESSAGE, seq=58, message_id=124, text="", data=to_json(DATA).decode(), client_msg_id="c-2")
NOTICE: Final = replace(MESSAGE, message_id=124, seq=58, sender=SYSTEM, text="Order 7 was paid.", client_msg_id="s-1")
DELETION: Final = replace(MESSAGE, seq=59, kind=EventKind.DELETE, text="", is_deleted=True, by=SYSTEM)
CHANGED_MEMBERS: Final = (
    MemberChanged(1, 2, "moderator", 0),
    MemberChanged(1, 2, "member", 1_705_314_600),
)
CHANGED: Final = (
    ChatChanged(1, ChatDetails(1, "Lunch", "order-7", '{"colour":"red"}', 30, 2)),
    ChatChanged(1, ChatDetails(1, "Lunch", None, "", None, 3)),
)
REPLY: Final = replace(
    MESSAGE,
    seq=59,
    message_id=125,
    text="Хорошо!",
    client_msg_id="c-3",
    reply_to=RepliedTo(MESSAGE.message_id, JOHN, MESSAGE.text),
    mentions=(JOHN.id,),
)
REFRESHED: Final = Refreshed(1_705_316_400)
REACTION: Final = replace(
    MESSAGE, seq=58, kind=EventKind.REACTION, client_msg_id="c-2", reaction=Reaction(2, "👍", False, '{"👍":1}')
)
UNREACTED: Final = Unreacted(MESSAGE.message_id, Reaction(2, "👍", False, '{"👍":1}'))
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
    Frame(MessagePush, tuple(written(_push(event)) for event in (MESSAGE, WITH_DATA, REPLY, NOTICE, DELETION))),
    Frame(MessageAgain, (written(_reply(Stored(MESSAGE, duplicate=True, epoch=EPOCH), None)),)),
    Frame(ReactionPush, (written(_push(REACTION)),)),
    Frame(
        ReactionAgain,
        (
            written(_reply(UNREACTED, None)),
            written(_reply(Stored(REACTION, duplicate=True, epoch=EPOCH), None)),
        ),
    ),
    Frame(TypingPush, (written(_push(Typing(1, JOHN, is_typing=True))),)),
    Frame(MessagesReadPush, (written(_push(MessagesRead(1, JOHN, 57))),)),
    Frame(PresencePush, (written(_push(PresenceChange(1, JOHN.id, JOHN.username, "join", 2))),)),
    Frame(PresenceCountPush, (written(_push(PresenceCount(1, 51))),)),
    Frame(MemberChangedPush, tuple(written(_push(change)) for change in CHANGED_MEMBERS)),
    Frame(ChatChangedPush, tuple(written(_push(changed)) for changed in CHANGED)),
    Frame(HistoryAnswer, (written(_reply(HistoryPage(1, [MESSAGE], 57), None)),)),
    Frame(PresenceAnswer, (written(_reply(PresenceState(1, [Present(1, JOHN.username, 1_705_314_600)]), None)),)),
    Frame(CaughtUpPush, (written(_reply(CaughtUp(1, 57, EPOCH), None)),)),
    Frame(ResetPush, (written(_reply(Reset(1, 57, EPOCH), None)),)),
    Frame(TruncatedPush, (written(_reply(Truncated(1, 40), None)),)),
    Frame(PongAnswer, (written(_reply(Pong(), None)),)),
    Frame(RefreshedAnswer, (written(_reply(REFRESHED, None)),)),
    Frame(TokenExpiringPush, (written(_reply(TokenExpiring(30), None)),)),
    Frame(ErrorAnswer, tuple(written(_reply(error, None)) for error in ERRORS if isinstance(error, ErrorReply))),
)

CHAT: Final = Family(
    name="chat",
    address="/ws/chat/{chat_id}/",
    title="One chat",
    description=(
        "For the members of a chat of any kind. Each user has one connection per chat over all nodes: a newer one "
        "replaces the older, which is closed with 4409 (`SECOND_CONNECTION` sets other rules)."
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
    title="The public channel",
    description=(
        "One chat for all users, with the messages of `/ws/chat/{chat_id}/`. Without `since`, the client gets all "
        "messages from the first one on. The URL that `GET /pub_ws` returns has a one-use ticket in its `token`."
    ),
    access=Access.USER,
    commands=(*COMMANDS, Frame(PlainText, ("Привет всем!",), "text/plain")),
    frames=_FRAMES,
    closes=IN_A_CHAT,
)
