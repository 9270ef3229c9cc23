"""Seed 002: `/updates/{room_id}`."""

from datetime import UTC, datetime
from typing import Final, TypedDict

from gateway.asyncapi.chat import EPOCH, CaughtUpPush, ResetPush
from gateway.asyncapi.family import IN_A_CHAT, Access, Family, Frame, written
from gateway.asyncapi.fields import Id, Seq
from gateway.codes import Close
from gateway.dialects.room import RoomDialect
from gateway.messages import CaughtUp, Reset
from storage.records import QUEUE_SENDER, ChatEvent, EventKind


class RoomMessage(TypedDict):
    """A message that came through the queue (`POST /message`)."""

    room_id: str
    content: str
    id: Id
    seq: Seq
    created_at: datetime
    client_msg_id: str


_MESSAGE: Final = ChatEvent(
    chat_id=5,
    seq=3,
    kind=EventKind.MESSAGE,
    message_id=9,
    sender=QUEUE_SENDER,
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
    title="A room (seed 002)",
    description=(
        "For guests whose token (`POST /generate-token`) names this room, which is made when the first one comes. At "
        "most two unique usernames at once over all nodes, each as often as it likes. The gateway sends messages, and "
        "to whom came with `since` where the replay ended; a client has nothing to say, and 200 tries close it."
    ),
    access=Access.GUEST,
    commands=(),
    frames=(
        Frame(RoomMessage, (written(_DIALECT.push(_MESSAGE)),)),
        Frame(CaughtUpPush, (written(_DIALECT.reply(CaughtUp(5, 3, EPOCH), None)),)),
        Frame(ResetPush, (written(_DIALECT.reply(Reset(5, 3, EPOCH), None)),)),
    ),
    closes=IN_A_CHAT | {Close.ROOM_FULL},
    parameters={"room_id": "The room's name, percent-encoded."},
)
