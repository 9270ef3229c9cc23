"""Seed 001: `/ws/service-chats/{chat_id}` and `/ws/support-chats/{chat_id}`, which have the same messages."""

from datetime import UTC, datetime
from typing import Annotated, Final, Literal, NotRequired, TypedDict

from msgspec import Meta
from msgspec.structs import replace

from gateway.api.schemas import RepliedToObject
from gateway.asyncapi.chat import (
    EPOCH,
    REACTION,
    REFRESHED,
    UNREACTED,
    CaughtUpPush,
    ErrorAnswer,
    PongAnswer,
    ReactionPush,
    RefreshedAnswer,
    ResetPush,
    TokenExpiringPush,
)
from gateway.asyncapi.chat_commands import DATA, REFRESH, PingCommand, ReactCommand
from gateway.asyncapi.family import IN_A_CHAT, Access, Family, Frame, written
from gateway.asyncapi.fields import AnyTextField, ClientMsgId, DataField, Id, MentionedUsers, Seq, TextField, UserId
from gateway.dialects.command_decoder import INVALID_JSON
from gateway.dialects.service import ServiceDialect
from gateway.protocol.replies import CaughtUp, Pong, Reset, Stored, TokenExpiring
from storage.records import SYSTEM, ChatEvent, EventKind, Person


class ServiceMessageCommand(TypedDict):
    """Send a message to everyone in the chat except the sender."""

    type: Literal["message"]
    content: TextField
    data: NotRequired[None]
    reply_to: NotRequired[Id | None]
    mentions: NotRequired[MentionedUsers | None]
    client_msg_id: NotRequired[ClientMsgId | None]


class ServiceDataMessageCommand(TypedDict):
    """Send a message with data of the application: a JSON object, which every client gets as it is."""

    type: Literal["message"]
    content: NotRequired[AnyTextField | None]
    data: DataField
    reply_to: NotRequired[Id | None]
    mentions: NotRequired[MentionedUsers | None]
    client_msg_id: NotRequired[ClientMsgId | None]


class ServiceMessagePush(TypedDict):
    """A message, an edit or a deletion: the message's current state under its own `id`. `created_at` is UTC.

    A system message has the `kind` `system` and the `sender_id` 0. `by_id` is who has edited or deleted the message of
    somebody else; 0 is a service.

    The sender's sockets do not get it, except those that connected with `since` and did not send it themselves.
    """

    type: Literal["message"]
    id: Id
    content: str
    sender_id: UserId
    chat_id: Id
    created_at: Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$")]
    seq: Seq
    client_msg_id: str
    is_edited: bool
    is_deleted: bool
    data: NotRequired[DataField]
    kind: NotRequired[Literal["system"]]
    by_id: NotRequired[UserId]
    reply_to: NotRequired[RepliedToObject]
    mentions: NotRequired[list[int]]
    reactions: NotRequired[dict[str, int]]


class ServiceReactionPush(ReactionPush):
    """A user has added a reaction to a message, or removed it; the sockets of that user get it as they get messages."""

    chat_id: Id


class ServiceReactionAck(TypedDict):
    """The response to `react` if the reaction was there already, or not there; sent where an `ack` would be."""

    type: Literal["ack"]
    id: Id
    duplicate: bool
    client_msg_id: NotRequired[str]


class ServiceAck(TypedDict):
    """A message of this socket is stored. Without `since`, it is sent only if the message had a `client_msg_id`.

    `duplicate` if it had been stored before.
    """

    type: Literal["ack"]
    client_msg_id: str
    id: Id
    seq: Seq
    epoch: str
    duplicate: NotRequired[bool]


_MESSAGE: Final = ChatEvent(
    chat_id=1,
    seq=7,
    kind=EventKind.MESSAGE,
    message_id=1,
    sender=Person(1, "ann"),
    text="Текст сообщения",
    created_at=datetime(2024, 1, 1, 12, tzinfo=UTC),
    is_edited=False,
    is_deleted=False,
    client_msg_id="c-1",
)
_NOTICE: Final = replace(_MESSAGE, message_id=2, seq=8, sender=SYSTEM, text="Order 7 was paid.", client_msg_id="s-1")
_DIALECT: Final = ServiceDialect(resumes=True)
_reply = _DIALECT.reply


def _family(kind: str, role: str) -> Family:
    return Family(
        name=kind,
        address=f"/ws/{kind}-chats/{{chat_id}}",
        title=f"One {kind} chat",
        description=(
            f"For the {role} and the client of a {kind} chat. Everyone except the sender gets a message; there is no "
            "greeting and no presence. A client that does not respond to the server's pings is disconnected."
        ),
        access=Access.USER,
        commands=(
            Frame(
                ServiceMessageCommand,
                (
                    {"type": "message", "content": "Текст сообщения"},
                    {"type": "message", "content": "Текст сообщения", "client_msg_id": "c-1"},
                ),
            ),
            Frame(ServiceDataMessageCommand, ({"type": "message", "content": "Билеты", "data": DATA},)),
            Frame(ReactCommand, ({"type": "react", "message_id": 1, "key": "👍"},)),
            Frame(PingCommand, ({"type": "ping"},)),
            REFRESH,
        ),
        frames=(
            Frame(ServiceMessagePush, (written(_DIALECT.push(_MESSAGE)), written(_DIALECT.push(_NOTICE)))),
            Frame(
                ServiceAck,
                tuple(written(_reply(Stored(_MESSAGE, duplicate, EPOCH), None)) for duplicate in (False, True)),
            ),
            Frame(ServiceReactionPush, (written(_DIALECT.push(REACTION)),)),
            Frame(ServiceReactionAck, (written(_reply(UNREACTED, None)),)),
            Frame(CaughtUpPush, (written(_reply(CaughtUp(1, 7, EPOCH), None)),)),
            Frame(ResetPush, (written(_reply(Reset(1, 7, EPOCH), None)),)),
            Frame(PongAnswer, (written(_reply(Pong(), None)),)),
            Frame(RefreshedAnswer, (written(_reply(REFRESHED, None)),)),
            Frame(TokenExpiringPush, (written(_reply(TokenExpiring(30), None)),)),
            Frame(ErrorAnswer, (written(_reply(INVALID_JSON, None)),)),
        ),
        closes=IN_A_CHAT,
        parameters={"chat_id": "The chat's id."},
    )


SERVICE: Final = _family("service", "master")
SUPPORT: Final = _family("support", "support agent")
