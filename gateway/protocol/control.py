"""Control messages between nodes about chats, users and clients; a chat's own publications are in `publications`.

Each is a JSON array whose first element is its kind. JSON from a third party follows unchanged on a second line.
During a rolling update two adjacent versions run together: append fields, never reorder them. A message of an unknown
kind is skipped; it is not an error.
"""

from collections.abc import Sequence
from typing import Any

import orjson
from msgspec import Struct

from httpapi.bounded_json import read_json


class Activity(Struct, frozen=True, gc=False):
    """A node has stored events; each position is a chat's id and the last seq stored by that node."""

    node_id: str
    positions: Sequence[tuple[int, int]]


class MembersChanged(Struct, frozen=True, gc=False):
    """These users were added to a chat or, if `removed`, removed from it."""

    chat_id: int
    user_ids: Sequence[int]
    removed: bool


class ChatsChanged(Struct, frozen=True, gc=False):
    """The details of these chats have changed in the store."""

    chat_ids: Sequence[int]


class ChatsRemoved(Struct, frozen=True, gc=False):
    """These chats were removed."""

    chat_ids: Sequence[int]


class PositionsMoved(Struct, frozen=True, gc=False):
    """Read positions moved on a node; each pair is a chat's id and a user's id."""

    node_id: str
    pairs: Sequence[tuple[int, int]]


class DirectToUser(Struct, frozen=True, gc=False):
    """Any JSON for the user's sockets on the receiving node."""

    user_id: int
    json: bytes


class DirectToClient(Struct, frozen=True, gc=False):
    """Any JSON for the user's sockets with this client_id on the receiving node; user_id None: the anonymous ones."""

    client_id: str
    user_id: int | None
    json: bytes


class RevocationsAdded(Struct, frozen=True, gc=False):
    """The log of revocations has new entries."""


class UserDisconnected(Struct, frozen=True, gc=False):
    """Close sockets of this user: the multi-chat ones with this client_id, those of this chat alone, or all of them."""

    user_id: int
    client_id: str | None
    chat_id: int | None
    reconnect: bool
    """Whether the client may reconnect by itself."""


class PresenceChanged(Struct, frozen=True, gc=False):
    """These users may have come online or gone offline: a hint."""

    user_ids: Sequence[int]


ControlMessage = (
    Activity
    | MembersChanged
    | ChatsChanged
    | ChatsRemoved
    | PositionsMoved
    | DirectToUser
    | DirectToClient
    | RevocationsAdded
    | UserDisconnected
    | PresenceChanged
)


def encode(announcement: ControlMessage) -> bytes:
    """`announcement` as the payload that `decode` reads; never empty."""
    match announcement:
        case Activity():
            return orjson.dumps(["activity", announcement.node_id, announcement.positions])
        case MembersChanged():
            fields = [announcement.chat_id, announcement.user_ids, announcement.removed]
            return orjson.dumps(["members", *fields])
        case ChatsChanged():
            return orjson.dumps(["chats", announcement.chat_ids])
        case ChatsRemoved():
            return orjson.dumps(["removed", announcement.chat_ids])
        case PositionsMoved():
            return orjson.dumps(["read", announcement.node_id, announcement.pairs])
        case PresenceChanged():
            return orjson.dumps(["presence", announcement.user_ids])
        case RevocationsAdded():
            return orjson.dumps(["revocations"])
        case UserDisconnected():
            fields = [announcement.user_id, announcement.client_id, announcement.chat_id, announcement.reconnect]
            return orjson.dumps(["disconnect", *fields])
        case DirectToUser():
            return orjson.dumps(["user", announcement.user_id]) + b"\n" + announcement.json
        case DirectToClient():
            return orjson.dumps(["client", announcement.client_id, announcement.user_id]) + b"\n" + announcement.json


def decode(payload: bytes) -> ControlMessage | None:
    """The message in `payload`; None for a kind that this version does not know.

    Raises: ValueError if `payload` is not a control message.
    """
    head, _, json = payload.partition(b"\n")
    try:
        fields: list[Any] = read_json(head)
        match fields[0]:
            case "activity":
                return Activity(fields[1], [(chat_id, seq) for chat_id, seq in fields[2]])
            case "members":
                return MembersChanged(fields[1], fields[2], fields[3])
            case "chats":
                return ChatsChanged([int(chat_id) for chat_id in fields[1]])
            case "removed":
                return ChatsRemoved([int(chat_id) for chat_id in fields[1]])
            case "read":
                return PositionsMoved(fields[1], [(chat_id, user_id) for chat_id, user_id in fields[2]])
            case "presence":
                return PresenceChanged([int(user_id) for user_id in fields[1]])
            case "revocations":
                return RevocationsAdded()
            case "disconnect":
                return UserDisconnected(fields[1], fields[2], fields[3], fields[4])
            case "user":
                return DirectToUser(fields[1], json)
            case "client":
                # The previous version names no owner, and its message must not reach another's socket.
                return DirectToClient(fields[1], fields[2], json) if len(fields) > 2 else None
    except (TypeError, IndexError, KeyError) as error:
        raise ValueError(f"not an announcement: {error}") from error
    return None
