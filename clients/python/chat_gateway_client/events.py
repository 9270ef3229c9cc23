"""Events, and the results of commands. `raw` is the frame as it came, with keys that are unknown to this version."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Frame = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the history of a chat: everything up to `seq` is known. `str()` is what `since` takes."""

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Read what `str()` wrote.

        Raises: ValueError.
        """
        epoch, _, seq = text.rpartition(":")
        return cls(epoch, int(seq))


@dataclass(frozen=True, slots=True)
class Sender:
    """Who wrote a message."""

    id: int
    username: str
    display_name: str
    """What people see: the names, or else the login."""
    first_name: str
    last_name: str


@dataclass(frozen=True, slots=True)
class Message:
    """A message, in its state after the event `seq`: sent, edited or deleted."""

    chat_id: int
    id: int
    seq: int
    text: str
    sender: Sender | None
    """None for a message of the system."""
    sent_at: datetime
    is_edited: bool
    is_deleted: bool
    client_msg_id: str | None
    data: Mapping[str, Any] | None
    raw: Frame


@dataclass(frozen=True, slots=True)
class Reaction:
    """Somebody reacted to a message, or took it back. `counts` are those of all keys of the message."""

    chat_id: int
    message_id: int
    seq: int
    user_id: int
    key: str
    removed: bool
    counts: Mapping[str, int]
    raw: Frame


@dataclass(frozen=True, slots=True)
class Reset:
    """The history of the chat is another one: discard what is known of the chat and load it again."""

    chat_id: int
    position: Position
    raw: Frame


@dataclass(frozen=True, slots=True)
class Truncated:
    """Messages before `first_seq` no longer exist; the replay goes on from there."""

    chat_id: int
    first_seq: int
    raw: Frame


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """All that was missed has been told; what follows is new."""

    chat_id: int
    position: Position
    raw: Frame


@dataclass(frozen=True, slots=True)
class Other:
    """Any other push, such as `typing`, `presence` or `chat_activity`: best effort, without a position."""

    type: str
    chat_id: int | None
    raw: Frame


@dataclass(frozen=True, slots=True)
class Stored:
    """A message, edit, deletion or reaction is in the database."""

    message_id: int
    seq: int
    duplicate: bool
    """It was stored already, by an earlier attempt."""


Event = Message | Reaction | Reset | Truncated | CaughtUp | Other


def event_in(frame: Frame) -> Event:
    """The event in a push of `/ws/{client_id}`."""
    chat_id = frame.get("chat_id")
    match frame["type"]:
        case "message":
            return message_in(int(frame["chat_id"]), frame["data"])
        case "reaction":
            return _reaction_in(frame)
        case "reset":
            return Reset(int(frame["chat_id"]), Position(str(frame["epoch"]), int(frame["last_seq"])), frame)
        case "truncated":
            return Truncated(int(frame["chat_id"]), int(frame["first_seq"]), frame)
        case "caught_up":
            return CaughtUp(int(frame["chat_id"]), Position(str(frame["epoch"]), int(frame["seq"])), frame)
    return Other(str(frame["type"]), chat_id, frame)


def stored_in(reply: Frame) -> Stored:
    """What the acknowledgement of a command says."""
    return Stored(reply["message_id"], reply["seq"], bool(reply.get("duplicate")))


def message_in(chat_id: int, data: Frame) -> Message:
    """A message object, as pushes, pages of history and HTTP responses have it."""
    sender = data.get("sender")
    return Message(
        chat_id=chat_id,
        id=data["id"],
        seq=data["seq"],
        text=data["text"],
        sender=sender
        and Sender(
            id=sender["id"],
            username=sender["username"],
            display_name=sender["display_name"],
            first_name=sender.get("first_name", ""),
            last_name=sender.get("last_name", ""),
        ),
        sent_at=datetime.fromisoformat(data["timestamp"]),
        is_edited=data["is_edited"],
        is_deleted=data["is_deleted"],
        client_msg_id=data.get("client_msg_id"),
        data=data.get("data"),
        raw=data,
    )


def _reaction_in(frame: Frame) -> Reaction:
    return Reaction(
        chat_id=frame["chat_id"],
        message_id=frame["message_id"],
        seq=frame["seq"],
        user_id=frame["user_id"],
        key=frame["key"],
        removed=frame["removed"],
        counts=frame["counts"],
        raw=frame,
    )
