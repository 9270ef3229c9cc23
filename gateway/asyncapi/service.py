"""Seed 001: `/ws/service-chats/{chat_id}` and `/ws/support-chats/{chat_id}`, which speak alike."""

from datetime import UTC, datetime
from typing import Annotated, Final, Literal, NotRequired, TypedDict

from msgspec import Meta

from gateway.asyncapi.chat import EPOCH, CaughtUpPush, ErrorAnswer, PongAnswer, ResetPush
from gateway.asyncapi.chat_commands import PingCommand
from gateway.asyncapi.family import IN_A_CHAT, Access, Family, Frame, written
from gateway.asyncapi.fields import ClientMsgId, Id, Seq, Text
from gateway.dialects.fields import INVALID_JSON
from gateway.dialects.service import ServiceDialect
from gateway.messages import CaughtUp, Pong, Reset, Stored
from storage.records import ChatEvent, EventKind, Person


class ServiceMessageCommand(TypedDict):
    """Say something. It goes to everyone but its sender."""

    type: Literal["message"]
    content: Text
    client_msg_id: NotRequired[ClientMsgId | None]


class ServiceMessagePush(TypedDict):
    """A message, an edit or a deletion: the message's present state under its own `id`. `created_at` is UTC.

    No socket of the sender's gets it; of those that came with `since` only the sending one is left out.
    """

    type: Literal["message"]
    id: Id
    content: str
    sender_id: Id
    chat_id: Id
    created_at: Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$")]
    seq: Seq
    client_msg_id: str
    is_edited: bool
    is_deleted: bool


class ServiceAck(TypedDict):
    """What this socket sent is stored. Without `since` it comes only if a `client_msg_id` was given.

    `duplicate` where it was stored before.
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
_DIALECT: Final = ServiceDialect(resumes=True)
_reply = _DIALECT.reply


def _family(kind: str, role: str) -> Family:
    return Family(
        name=kind,
        address=f"/ws/{kind}-chats/{{chat_id}}",
        title=f"One {kind} chat (seed 001)",
        description=(
            f"For the {role} and the client of a {kind} chat. Everyone but the sender gets a message; there is no "
            "greeting and no presence. A client that does not answer the server's pings is dropped."
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
            Frame(PingCommand, ({"type": "ping"},)),
        ),
        frames=(
            Frame(ServiceMessagePush, (written(_DIALECT.push(_MESSAGE)),)),
            Frame(
                ServiceAck,
                tuple(written(_reply(Stored(_MESSAGE, duplicate, EPOCH), None)) for duplicate in (False, True)),
            ),
            Frame(CaughtUpPush, (written(_reply(CaughtUp(1, 7, EPOCH), None)),)),
            Frame(ResetPush, (written(_reply(Reset(1, 7, EPOCH), None)),)),
            Frame(PongAnswer, (written(_reply(Pong(), None)),)),
            Frame(ErrorAnswer, (written(_reply(INVALID_JSON, None)),)),
        ),
        closes=IN_A_CHAT,
        parameters={"chat_id": "The chat's id."},
    )


SERVICE: Final = _family("service", "master")
SUPPORT: Final = _family("support", "support agent")
