"""The values that storage hands out: frozen, plain, without a database behind them.

ORM objects never leave `storage/`; everything else speaks in these. This module imports only values, so that even
the gateway's word modules may use it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeGuard, TypeVar

from msgspec import Struct

from storage.reaction_records import Reaction, Unchanged

_T = TypeVar("_T")


class EventKind(StrEnum):
    """What an entry of a chat's log says."""

    MESSAGE = "message"
    EDIT = "edit"
    DELETE = "delete"
    REACTION = "reaction"


class ChatKind(StrEnum):
    """What a chat is for; it decides who may join and which URL families serve it."""

    GROUP = "group"
    DIRECT = "direct"
    SERVICE = "service"
    SUPPORT = "support"
    PUBLIC = "public"
    ROOM = "room"  # found by a name, fed by the queue; users are no members (seed 002)


class Role(StrEnum):
    """What a member is in its chat."""

    MEMBER = "member"
    MODERATOR = "moderator"  # removes and mutes members, and deletes anyone's messages
    READER = "reader"  # may not write
    MASTER = "master"
    CLIENT = "client"
    SUPPORT = "support"


STAFF_ROLES = frozenset({Role.MASTER, Role.SUPPORT})
"""Who speaks for the operator in service and support chats."""


class Quota(StrEnum):
    """What a user may store only so much of."""

    CHATS = "chats"  # that the user has created
    MEMBERS = "members"  # of one chat
    EDITS = "edits"  # of a user in a minute, over all nodes
    MESSAGE_EDITS = "message_edits"
    REACTIONS = "reactions"  # of a user in a minute, over all nodes
    MESSAGE_REACTIONS = "message_reactions"
    ECHO_SESSION = "echo_session"  # bytes of a session's transcript
    ECHO_USER = "echo_user"  # bytes of a user's transcripts in an hour, over all nodes
    ECHO_ADDRESS = "echo_address"  # the same of an address


class Relation(StrEnum):
    """How a user stands to the one who wants to add them to a chat."""

    CONTACT = "contact"  # themselves, or someone who owns a chat of both or has written in it
    STRANGER = "stranger"
    BLOCKING = "blocking"
    UNKNOWN = "unknown"  # no such user


class Person(Struct, frozen=True, gc=False):
    """A user as others see it. `username` is the login."""

    id: int
    username: str
    first_name: str = ""
    last_name: str = ""
    display_name: str = ""

    @property
    def shown_name(self) -> str:
        """What people see: the display name, else the first and last name, else the username; never empty."""
        return self.display_name or f"{self.first_name} {self.last_name}".strip() or self.username


class Profile(Struct, frozen=True, gc=False):
    """What applications keep of a user. `data` is a JSON object as text, or empty.

    `issuer` and `subject` are set for users of an external issuer.
    """

    person: Person
    avatar_url: str
    data: str
    issuer: str | None
    subject: str | None


SYSTEM = Person(0, "system")
"""The sender of what services write as themselves and of every message of the queue, a row of `users` like all others.

It writes in every chat without being a member, and may change any message. Nobody logs in as it: no password matches
its hash, and its `login_folded` has a colon, which no login of a person has. Nobody can name it by its id either: ids
that clients send start at 1.
"""


class RepliedTo(Struct, frozen=True, gc=False):
    """The message to which another one replies.

    `text` is the start of what it held when the reply was sent, "" once it is deleted; `sender` is None if it is gone.
    """

    id: int
    sender: Person | None
    text: str


class NewEvent(Struct, frozen=True, gc=False):
    """An event to store in a chat's log.

    `client_msg_id` (1–64 characters) is unique per chat and sender, permanently; the node generates one if the client
    did not, so that a commit whose outcome is unknown can be retried. `message_id` names the target of an edit, a
    deletion or a reaction. `text` is "" for a deletion, and of a reaction `storage.reaction_records.reaction_text`.
    `data` is the JSON of an object; None in an edit keeps that of the message. `reply_to` is the id of a message of the
    chat, `mentions` ids of users in ascending order; only messages have them.
    """

    chat_id: int
    sender: Person
    client_msg_id: str
    kind: EventKind
    text: str
    message_id: int | None = None
    data: str | None = None
    reply_to: int | None = None
    mentions: tuple[int, ...] = ()


class ChatEvent(Struct, frozen=True, gc=False):
    """One entry of a chat's log, with the *present* state of the message it speaks of.

    `seq` is the entry's own position (1, 2, 3 … without holes in its chat); `created_at` (UTC, aware) is when the
    message was first stored. A deleted message has the text "", no data and no mentions. `data` is the JSON of an
    object, `mentions` has the members among those that were mentioned. `sender` is the author of the message, and `by`
    who has edited or deleted it or reacted to it, if that was somebody else. `reactions` counts the reactions to the
    message: the JSON of an object, from key to number. `reaction` is set for an entry of kind REACTION only.
    `reply_count` is read with pages of messages only; everywhere else it is 0.
    """

    chat_id: int
    seq: int
    kind: EventKind
    message_id: int
    sender: Person
    text: str
    created_at: datetime
    is_edited: bool
    is_deleted: bool
    client_msg_id: str
    data: str | None = None
    by: Person | None = None
    reactions: str | None = None
    reaction: Reaction | None = None
    reply_to: RepliedTo | None = None
    mentions: tuple[int, ...] = ()
    reply_count: int = 0

    @property
    def actor(self) -> Person:
        """Who caused this event."""
        return self.by or self.sender


class Committed(Struct, frozen=True, gc=False):
    """The event is in the database. `duplicate`: it was there already, and `event` is that first one."""

    event: ChatEvent
    duplicate: bool = False


class Refusal(StrEnum):
    """Why an event is not in the log, and never will be as it stands (but for the last two)."""

    NOT_A_MEMBER = "not_a_member"  # or no such chat: the two are not told apart
    NO_SUCH_MESSAGE = "no_such_message"  # nothing (left) to edit or delete
    NO_SUCH_TARGET = "no_such_target"  # nothing to reply to
    NOT_THE_AUTHOR = "not_the_author"
    READER = "reader"
    MUTED = "muted"
    CHAT_FROZEN = "chat_frozen"
    EDIT_LIMIT = "edit_limit"  # the message was edited MAX_EDITS times
    REACTION_LIMIT = "reaction_limit"  # see `storage.reaction_records`
    BLOCKED = "blocked"  # by the other member of a direct chat
    ID_REUSED = "id_reused"  # same chat, sender and client_msg_id with other content
    UNAVAILABLE = "unavailable"  # the database did not take it in time; try again with the same client_msg_id
    NOT_STORABLE = "not_storable"  # the database answers, and cannot take this event: a fault of ours, not an outage


class SlowMode(Struct, frozen=True, gc=False):
    """The member has sent a message to a chat in slow mode, and may send the next one in so many seconds."""

    retry_after_s: int


Outcome = Committed | Unchanged | Refusal | SlowMode
OnOutcome = Callable[[Outcome], None]


class ChatPosition(Struct, frozen=True, gc=False):
    """Where a chat stands: its last seq, and counters that move whenever its members or its details change.

    `first_seq` is that of the first event that retention has left: one more than `last_seq` if none is left.
    """

    last_seq: int
    members_version: int
    version: int = 1
    first_seq: int = 1


class Positions(Struct, frozen=True, gc=False):
    """Where chats stand, and in which history: a position means nothing in another one."""

    epoch: str
    chats: dict[int, ChatPosition]


class Member(Struct, frozen=True, gc=False):
    """A user's place in a chat; `muted_until` is in Unix seconds."""

    person: Person
    role: Role
    read_seq: int
    avatar_url: str = ""
    muted_until: int = 0


MAX_UNREAD = 100


class ReadPosition(Struct, frozen=True, gc=False):
    """How far a member has read; `unread` counts messages by others after it.

    MAX_UNREAD stands for as many or more, and for more than 1,000 events of any kind, which are not counted.
    """

    seq: int
    unread: int


MAX_COUNTED_MEMBERS = 1_000
"""The most members of a chat that are counted; it stands for as many or more."""


class Chat(Struct, frozen=True, gc=False):
    """A chat with some of its members, the oldest first; `member_count` is the number of all.

    `owner_id` is None if the members cannot be changed; `unread` counts messages by others after the reader's
    position, where it was asked for. `key` and the four after it are those of `storage.chat_records.ChatDetails`.
    `first_seq` is that of the first event that retention has left: one more than `last_seq` if none is left.
    """

    id: int
    kind: ChatKind
    title: str
    last_seq: int
    owner_id: int | None
    members: tuple[Member, ...]
    unread: int = 0
    member_count: int = 0
    key: str | None = None
    data: str = ""
    retention_days: int | None = None
    is_frozen: bool = False
    slow_mode_s: int = 0
    first_seq: int = 1


@dataclass(frozen=True, slots=True)
class Page(Generic[_T]):
    """Some of a list; `next` is the id of the last one, None if there are no more."""

    items: tuple[_T, ...]
    next: int | None


class Admission(Struct, frozen=True, gc=False):
    """What a connection needs to know to enter a chat: the chat's kind and position, and the user's place in it."""

    chat_id: int
    chat_kind: ChatKind
    member: Member
    position: ChatPosition
    epoch: str


class Room(Struct, frozen=True, gc=False):
    """A chat that is found by a name; neither ever changes."""

    chat_id: int
    name: str


class RoomEntry(Struct, frozen=True, gc=False):
    """What a connection needs to know to enter a room, of which it is no member: see `Admission`."""

    room: Room
    position: ChatPosition
    epoch: str


class Direction(StrEnum):
    """Whose words a line of a transcript has."""

    IN = "in"  # the client's
    OUT = "out"  # the server's


class NewLine(Struct, frozen=True, gc=False):
    """A message of an echo session to keep; its `place` in the session (1, 2, 3 …) identifies it permanently."""

    user_id: int
    session_id: str
    place: int
    direction: Direction
    payload: bytes
    is_text: bool


class Line(Struct, frozen=True, gc=False):
    """A message that was kept; `created_at` (UTC, aware) is when."""

    id: int
    session_id: str
    direction: Direction
    payload: bytes
    is_text: bool
    created_at: datetime


class LinePage(Struct, frozen=True, gc=False):
    """Some of a user's lines, ascending by id; `next` is the id to go on after, None if there is no more."""

    lines: tuple[Line, ...]
    next: int | None


class PublicChat(Struct, frozen=True, gc=False):
    """What is needed to read a chat without being its member: a public one, or any for a service."""

    chat_id: int
    last_seq: int
    epoch: str


class NewMember(Struct, frozen=True, gc=False):
    """Somebody to add to a chat: by id or by login (exactly one is set)."""

    user_id: int | None = None
    login: str | None = None
    role: Role | None = None


BIGINT_MAX = 2**63 - 1
"""Clients may send any number as an id or a seq, and both databases reject more than 64 bits."""


def are_ids(*values: int | None) -> bool:
    """Whether each value can be an id; others match no row, and would make the database raise an error."""
    return all(is_id(value) for value in values)


def is_id(value: int | None) -> TypeGuard[int]:
    """Whether this can be an id."""
    return value is not None and 0 < value <= BIGINT_MAX


def clamped(seq: int) -> int:
    """The nearest seq that both databases accept, for any number of a client."""
    return min(max(seq, 0), BIGINT_MAX)
