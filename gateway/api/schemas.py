"""The JSON responses of the API: their types, which the OpenAPI document describes, and how they are sent."""

import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, Literal, NotRequired, TypedDict, cast

import orjson
from starlette.responses import Response

from gateway.http.compression import JsonResponse
from httpapi.bounded_json import to_json
from storage.records import MAX_COUNTED_MEMBERS, Chat, ChatKind, Member, Role

NO_STORE: Final = {"Cache-Control": "no-store"}


def answer(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """A response with `value` as JSON. No cache may store it: it depends on the user and the time."""
    return JsonResponse(to_json(value), status, NO_STORE)


class PersonObject(TypedDict):
    """A user, as the sender of a message.

    People see `display_name`, which is never empty, over HTTP and on the multi-chat WebSocket; the others have none.
    """

    id: int
    username: str
    first_name: str
    last_name: str
    display_name: NotRequired[str]


class ReactionObject(TypedDict):
    """A user's reaction to a message, or its removal; `counts` has the number of users of each key after it.

    `seq` is that of the event; it is absent if the reaction was there, or not there, already.
    """

    message_id: int
    key: str
    user_id: int
    removed: bool
    counts: dict[str, int]
    seq: NotRequired[int]


class CommandReply(TypedDict):
    """The reply that a socket gets to the same command; its other keys depend on the command."""

    type: str
    id: NotRequired[int | str]


class RepliedToObject(TypedDict):
    """The message to which another one replies. `text` has at most 120 characters of what it held then.

    Once the message is deleted, `text` is empty; `sender` is null if it is not stored any more.
    """

    id: int
    sender: PersonObject | None
    text: str


class MessageObject(TypedDict):
    """A message in its current state, as on the WebSockets. `seq` is that of the event that this object reports.

    A message of a service itself has the `kind` `system` and no `sender`. `by` is who has edited or deleted the message
    of somebody else, null for a service.
    `mentions` has the members whom the message mentions. `reply_count`, in pages of messages only, counts the replies.
    `reactions` has the number of users of each key, and `own_reactions`, in pages, the caller's keys. Each of these is
    absent if there is nothing to show.
    `reaction` is there if the event is one: then `client_msg_id` is that of the reaction.
    """

    id: int
    text: str
    sender: PersonObject | None
    timestamp: datetime
    is_edited: bool
    is_deleted: bool
    seq: int
    client_msg_id: str
    data: NotRequired[dict[str, Any]]
    kind: NotRequired[Literal["system"]]
    by: NotRequired[PersonObject | None]
    reactions: NotRequired[dict[str, int]]
    own_reactions: NotRequired[list[str]]
    reaction: NotRequired[ReactionObject]
    reply_to: NotRequired[RepliedToObject]
    mentions: NotRequired[list[int]]
    reply_count: NotRequired[int]


class MessagePage(TypedDict):
    """Messages in ascending order; `last_seq` is the chat's last event, in the history `epoch`."""

    messages: list[MessageObject]
    last_seq: int
    epoch: str


class ProblemObject(TypedDict):
    """Why a message was not stored; `code` is stable, `detail` a sentence for people."""

    title: str
    status: int
    code: str
    detail: str


class BatchResult(TypedDict):
    """What became of one message: it is stored (201), was stored before (200), or has a problem."""

    status: int
    message: NotRequired[MessageObject]
    problem: NotRequired[ProblemObject]


class BatchResults(TypedDict):
    """The outcomes of the messages, in the order of the request."""

    results: list[BatchResult]


class MemberObject(TypedDict):
    """A member of a chat, who has read up to `read_seq`; `muted_until` is absent if it is not muted."""

    user_id: int
    username: str
    first_name: str
    last_name: str
    display_name: str
    avatar_url: str
    role: Role
    read_seq: int
    muted_until: NotRequired[datetime]


class ChatObject(TypedDict):
    """A chat and its members, the oldest first; `owner_id` is null if its members cannot be changed.

    A single chat has up to 1,000 members, one of a list up to ten, the caller among them. `member_count` is the number
    of all; 1000 means 1,000 or more. `key`, `data` and `retention_days` are null if there are none. `data` is absent in
    the list without pages. `first_seq` is that of the first event that is left, where retention has removed those
    before it: one more than `last_seq` if none is left.
    """

    id: int
    kind: ChatKind
    title: str
    owner_id: int | None
    members: list[MemberObject]
    member_count: int
    first_seq: NotRequired[int]
    last_seq: int
    key: str | None
    data: NotRequired[dict[str, Any] | None]
    frozen: bool
    slow_mode_s: int
    retention_days: int | None


class OwnChatObject(ChatObject):
    """One of the caller's chats; `unread` counts the messages by others after the caller's read position, up to 100.

    A list in order of creation has none of the other fields. `mentions` counts those of the caller in unread messages,
    up to 100. `last_message` is also absent if there is none, and in a
    list without pages. `muted_until` is null, or when clients may notify the user of the chat's messages again.
    """

    unread: int
    mentions: NotRequired[int]
    last_activity_at: NotRequired[datetime]
    last_message: NotRequired[MessageObject]
    pinned: NotRequired[bool]
    archived: NotRequired[bool]
    muted_until: NotRequired[datetime | None]


class UnreadObject(TypedDict):
    """What the caller has not read.

    `chats` and `mentions` up to 100, and `messages` up to 1,000, which stand for as many or more.
    """

    chats: int
    messages: int
    mentions: int


class BanObject(TypedDict):
    """The ban of a user; without a time in `until` it has no end."""

    user_id: int
    until: datetime | None
    reason: str
    created_at: datetime


class ChatList(TypedDict):
    """The caller's chats. `next` is the `cursor` of the next page, null on the last one, absent without pages."""

    chats: list[OwnChatObject]
    next: NotRequired[str | None]


class MemberList(TypedDict):
    """Members in ascending order of `user_id`; `next` is the `cursor` of the next page, null on the last one."""

    members: list[MemberObject]
    next: str | None


class PresentObject(TypedDict):
    """A user who is connected; `display_name` as for the sender of a message."""

    user_id: int
    username: str
    display_name: NotRequired[str]
    connected_at: datetime


class PresentList(TypedDict):
    """The connected members, over all nodes."""

    members: list[PresentObject]


class ClientObject(TypedDict):
    """A connected client of a user."""

    client_id: str
    node: str
    connected_at: datetime


class ClientList(TypedDict):
    """The connected clients of a user, over all nodes."""

    clients: list[ClientObject]


class BlockList(TypedDict):
    """The users whom the caller has blocked, in ascending order."""

    user_ids: list[int]


class Sent(TypedDict):
    """The number of sockets to which the payload was sent."""

    sockets: int


class RoomMessageAccepted(TypedDict):
    """The message is stored."""

    status: str


class TicketUrl(TypedDict):
    """The URL of a WebSocket; its ticket is valid once, within 30 s."""

    url: str


class TranscriptEntry(TypedDict):
    """A message of an echo session; `encoding` is `base64` for a binary one."""

    id: int
    session_id: str
    direction: str
    text: str
    encoding: str
    created_at: datetime


class TranscriptPage(TypedDict):
    """Messages in ascending order; `next` is the `after` of the next page, null on the last page."""

    messages: list[TranscriptEntry]
    next: int | None


class Alive(TypedDict):
    """The process is alive."""

    status: str
    node: str


class AuthReadiness(TypedDict):
    """Whether this auth process should get requests, and what an operator has to change."""

    status: str
    reasons: NotRequired[list[str]]


class Readiness(TypedDict):
    """Whether this node should get new connections, and the state of its dependencies."""

    status: str
    redis: str
    database: str
    node: str
    queue: NotRequired[str]
    reasons: NotRequired[list[str]]
    failed: NotRequired[list[str]]


def chat_object(chat: Chat) -> ChatObject:
    """A chat with those of its members that were read."""
    shown: ChatObject = {
        "id": chat.id,
        "kind": chat.kind,
        "title": chat.title,
        "owner_id": chat.owner_id,
        "members": [member_object(member) for member in chat.members],
        "member_count": min(chat.member_count, MAX_COUNTED_MEMBERS),
        "last_seq": chat.last_seq,
        "key": chat.key,
        "data": cast(Any, orjson.Fragment(chat.data or "null")),
        "frozen": chat.is_frozen,
        "slow_mode_s": chat.slow_mode_s,
        "retention_days": chat.retention_days,
    }
    if chat.first_seq > 1:
        shown["first_seq"] = chat.first_seq
    return shown


def member_object(member: Member) -> MemberObject:
    """A member, with its read position."""
    person = member.person
    shown: MemberObject = {
        "user_id": person.id,
        "username": person.username,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "display_name": person.shown_name,
        "avatar_url": member.avatar_url,
        "role": member.role,
        "read_seq": member.read_seq,
    }
    if member.muted_until > time.time():
        shown["muted_until"] = datetime.fromtimestamp(member.muted_until, UTC)
    return shown
