"""Seed 002: `/updates/{room_id}`."""

from datetime import UTC, datetime
from typing import Final, NotRequired, TypedDict

from gateway.asyncapi.chat import EPOCH, CaughtUpPush, ResetPush
from gateway.asyncapi.family import IN_A_CHAT, Access, Family, Frame, written
from gateway.asyncapi.fields import DataField, Id, Seq
from gateway.dialects.room import RoomDialect
from gateway.protocol.codes import Close
from gateway.protocol.replies import CaughtUp, Reset
from storage.records import SYSTEM, ChatEvent, EventKind


class RoomMessageFrame(TypedDict):
    """A message that arrived through the queue (`POST /message`)."""

    room_id: str
    content: str
    id: Id
    seq: Seq
    created_at: datetime
    client_msg_id: str
    data: NotRequired[DataField]


_MESSAGE: Final = ChatEvent(
    chat_id=5,
    seq=3,
    kind=EventKind.MESSAGE,
    message_id=9,
    sender=SYSTEM,
    text="Hello, Room!",
    created_at=datetime(2024, 1, 1, 12, tzinfo=UTC),
    is_edited=False,
    is_deleted=False,
    client_msg_id="c-1",
)
_DIALECT: Final = RoomDialect("room1", resumes=True)

ROOM: Final = Family(
    name="room",
    address="/updates/{room_id}",
    title="A room",
    description=(
        "For guests whose token (`POST /generate-token`) names this room, which is created by the first connect. At "
        "most two different usernames are connected at once over all nodes, each with any number of connections. The "
        "gateway sends messages, and to clients with `since` the end of the replay. Clients have no commands: 200 "
        "attempts close the socket."
    ),
    access=Access.GUEST,
    commands=(),
    frames=(
        Frame(RoomMessageFrame, (written(_DIALECT.push(_MESSAGE)),)),
        Frame(CaughtUpPush, (written(_DIALECT.reply(CaughtUp(5, 3, EPOCH), None)),)),
        Frame(ResetPush, (written(_DIALECT.reply(Reset(5, 3, EPOCH), None)),)),
    ),
    closes=IN_A_CHAT | {Close.ROOM_FULL},
    parameters={"room_id": "The room's name, percent-encoded."},
)
