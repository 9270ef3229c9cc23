"""What nodes tell each other apart from chats' publications: of whole chats, of users and of clients.

Each is a JSON array, its first element the kind; JSON of others' making follows it on a line of its own, as it came.
Nodes of neighbouring versions meet during a rolling update: append fields, never reorder them. An unknown kind is
skipped, not an error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Activity:
    """A node has stored events: chats, each with its last seq there."""

    node_id: str
    positions: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class MembersChanged:
    """These users are members of a chat now, or no longer."""

    chat_id: int
    user_ids: Sequence[int]
    removed: bool


@dataclass(frozen=True, slots=True)
class DirectToUser:
    """Any JSON for the user's sockets on the node that gets this."""

    user_id: int
    json: bytes


@dataclass(frozen=True, slots=True)
class DirectToClient:
    """Any JSON for the sockets that bear this client_id on the node that gets this."""

    client_id: str
    json: bytes


Announcement = Activity | MembersChanged | DirectToUser | DirectToClient


def encode(announcement: Announcement) -> bytes:
    """`announcement` as the payload that `decode` reads; never empty."""
    match announcement:
        case Activity():
            return orjson.dumps(["activity", announcement.node_id, announcement.positions])
        case MembersChanged():
            fields = [announcement.chat_id, announcement.user_ids, announcement.removed]
            return orjson.dumps(["members", *fields])
        case DirectToUser():
            return orjson.dumps(["user", announcement.user_id]) + b"\n" + announcement.json
        case DirectToClient():
            return orjson.dumps(["client", announcement.client_id]) + b"\n" + announcement.json


def decode(payload: bytes) -> Announcement | None:
    """What another node said; None for a kind that this version does not know.

    Raises: ValueError if it is none of ours at all.
    """
    head, _, json = payload.partition(b"\n")
    try:
        fields: list[Any] = orjson.loads(head)
        match fields[0]:
            case "activity":
                return Activity(fields[1], [(chat_id, seq) for chat_id, seq in fields[2]])
            case "members":
                return MembersChanged(fields[1], fields[2], fields[3])
            case "user":
                return DirectToUser(fields[1], json)
            case "client":
                return DirectToClient(fields[1], json)
    except (TypeError, IndexError, KeyError) as error:
        raise ValueError(f"not an announcement: {error}") from error
    return None
