"""What a user's sockets are told of all their chats, subscribed or not; and what services say to them directly."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChatAdded:
    """The user is a member of this chat now."""

    chat_id: int


@dataclass(frozen=True, slots=True)
class ChatRemoved:
    """The user is a member no longer; a subscription to the chat has ended."""

    chat_id: int


@dataclass(frozen=True, slots=True)
class ChatActivity:
    """Something happened in a chat of the user's that the socket is not subscribed to: a hint, and the latest only."""

    chat_id: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class Direct:
    """Something that a service has to say to a user or to a client: any JSON, passed on as it came."""

    json: bytes


Notice = ChatAdded | ChatRemoved | ChatActivity | Direct
