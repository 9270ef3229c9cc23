"""Pushes: unsolicited messages, identical for every subscriber of a chat.

A stored event is pushed as storage's `ChatEvent`.
"""

from dataclasses import dataclass
from typing import Literal

from storage.records import ChatEvent, Person


@dataclass(frozen=True, slots=True)
class Typing:
    """A user started or stopped typing; never pushed to that user."""

    chat_id: int
    person: Person
    is_typing: bool


@dataclass(frozen=True, slots=True)
class MessagesRead:
    """A user's read position moved to `seq`: a push to other users, and a reply to the user's other sockets."""

    chat_id: int
    person: Person
    seq: int


@dataclass(frozen=True, slots=True)
class PresenceChange:
    """A user joined or left, and `count` users are now present; never pushed to that user."""

    chat_id: int
    user_id: int
    username: str
    status: Literal["join", "leave"]
    count: int


@dataclass(frozen=True, slots=True)
class PresenceCount:
    """The number of present users, which a large chat receives instead of PresenceChange."""

    chat_id: int
    count: int


Push = ChatEvent | Typing | MessagesRead | PresenceChange | PresenceCount
