"""What the API answers, as types: the endpoints build these, and the OpenAPI document describes them."""

from datetime import datetime
from typing import NotRequired, TypedDict

from storage.records import ChatKind, Role


class PersonObject(TypedDict):
    """A user, as seed 004 shows the sender of a message."""

    id: int
    username: str
    first_name: str
    last_name: str


class MessageObject(TypedDict):
    """A message in its present state, as seed 004 shows it. `seq` is that of the event that is told of."""

    id: int
    text: str
    sender: PersonObject
    timestamp: datetime
    is_edited: bool
    is_deleted: bool
    seq: int
    client_msg_id: str


class MessagePage(TypedDict):
    """Messages, ascending; the chat's last event is `last_seq`, in the history `epoch`."""

    messages: list[MessageObject]
    last_seq: int
    epoch: str


class MemberObject(TypedDict):
    """A member of a chat, who has read up to `read_seq`."""

    user_id: int
    username: str
    first_name: str
    last_name: str
    role: Role
    read_seq: int


class ChatObject(TypedDict):
    """A chat with all its members."""

    id: int
    kind: ChatKind
    title: str
    members: list[MemberObject]
    last_seq: int


class OwnChatObject(ChatObject):
    """One of the caller's chats; `unread` are messages by others after the caller's read position."""

    unread: int


class ChatList(TypedDict):
    """The caller's chats."""

    chats: list[OwnChatObject]


class PresentObject(TypedDict):
    """A user who is connected."""

    user_id: int
    username: str
    connected_at: datetime


class PresentList(TypedDict):
    """Who is connected, over all nodes."""

    members: list[PresentObject]


class ClientObject(TypedDict):
    """A client of a user's that is connected."""

    client_id: str
    node: str
    connected_at: datetime


class ClientList(TypedDict):
    """A user's clients, over all nodes."""

    clients: list[ClientObject]


class Sent(TypedDict):
    """How many sockets were addressed."""

    sockets: int


class RoomMessageAccepted(TypedDict):
    """Seed 002's answer."""

    status: str


class Link(TypedDict):
    """Where to open a WebSocket; its ticket lets in once, within 30 s."""

    url: str


class TranscriptLine(TypedDict):
    """A message of an echo session; `encoding` is `base64` for a binary one."""

    id: int
    session_id: str
    direction: str
    text: str
    encoding: str
    created_at: datetime


class TranscriptPage(TypedDict):
    """Messages, ascending; `next` is the `after` of the next page, null on the last."""

    messages: list[TranscriptLine]
    next: int | None


class Alive(TypedDict):
    """This process runs."""

    status: str
    node: str


class Readiness(TypedDict):
    """Whether new connections should come to this node, and how what it stands on is."""

    status: str
    redis: str
    database: str
    node: str
    queue: NotRequired[str]
    failed: NotRequired[list[str]]
