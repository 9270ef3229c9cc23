"""Pushes: unsolicited messages, identical for every subscriber of a chat.

A stored event is pushed as storage's `ChatEvent`.
"""

from typing import Literal

from msgspec import Struct

from storage.chat_records import ChatDetails
from storage.records import ChatEvent, Person


class Typing(Struct, frozen=True, gc=False):
    """A user started or stopped typing; never pushed to that user."""

    chat_id: int
    person: Person
    is_typing: bool


class MessagesRead(Struct, frozen=True, gc=False):
    """A user's read position moved to `seq`: a push to other users, and a reply to the user's other sockets."""

    chat_id: int
    person: Person
    seq: int


class PresenceChange(Struct, frozen=True, gc=False):
    """A user joined or left, and `count` users are now present; never pushed to that user.

    `display_name` is "" where it is not known: of a user whose node has died.
    """

    chat_id: int
    user_id: int
    username: str
    status: Literal["join", "leave"]
    count: int
    display_name: str = ""


class PresenceCount(Struct, frozen=True, gc=False):
    """The number of present users, which a large chat receives instead of PresenceChange."""

    chat_id: int
    count: int


class ChatChanged(Struct, frozen=True, gc=False):
    """The chat's title, data or rules have changed; only the latest state is pushed."""

    chat_id: int
    details: ChatDetails


class MemberChanged(Struct, frozen=True, gc=False):
    """What a member may do has changed; `role` is `owner` for the owner, `muted_until` is in Unix seconds."""

    chat_id: int
    user_id: int
    role: str
    muted_until: int


Push = ChatEvent | Typing | MessagesRead | PresenceChange | PresenceCount | ChatChanged | MemberChanged
