"""The encoding of publications in Redis: a JSON array whose first element is the kind.

During a rolling update two adjacent versions run together: append fields, never reorder them, and read a missing field
as its default. A publication of an unknown kind is skipped; it is not an error.
"""

from datetime import UTC, datetime
from typing import Any, Literal

import orjson
from msgspec import Struct
from msgspec.structs import replace

from gateway.protocol.claim import Claim
from gateway.protocol.pushes import MemberChanged, MessagesRead, PresenceChange, Typing
from httpapi.bounded_json import read_json
from storage.reaction_records import Reaction
from storage.records import ChatEvent, EventKind, Person, RepliedTo

# --- publications that only nodes receive


class Takeover(Struct, frozen=True, gc=False):
    """A user has taken a new exclusive seat: the user's seats with a lower (claim, connection_id) must close."""

    chat_id: int
    user_id: int
    claim: Claim
    connection_id: str


class CrowdedOut(Struct, frozen=True, gc=False):
    """The chat is full of users who came before this one: this user's seats with claims up to `claim` must close."""

    chat_id: int
    user_id: int
    claim: Claim


class MemberRemoved(Struct, frozen=True, gc=False):
    """This user is no longer a member of the chat."""

    chat_id: int
    user_id: int


Publication = ChatEvent | Typing | MessagesRead | PresenceChange | Takeover | CrowdedOut | MemberRemoved | MemberChanged


_MICROSECOND = 1_000_000
_STORED = tuple(b'["%s",' % kind.encode() for kind in EventKind)


def encode(publication: Publication) -> bytes:
    """`publication` as the payload that `decode` reads."""
    return orjson.dumps(_fields(publication))


def _fields(publication: Publication) -> list[object]:
    match publication:
        case ChatEvent():
            fields: list[object] = [
                publication.kind,
                publication.chat_id,
                publication.seq,
                publication.message_id,
                _person_fields(publication.sender),
                publication.text,
                round(publication.created_at.timestamp() * _MICROSECOND),
                publication.is_edited,
                publication.is_deleted,
                publication.client_msg_id,
            ]
            return fields + _content_fields(publication)
        case Typing():
            return ["typing", publication.chat_id, _person_fields(publication.person), publication.is_typing]
        case MessagesRead():
            return ["read", publication.chat_id, _person_fields(publication.person), publication.seq]
        case PresenceChange():
            return [
                "presence",
                publication.chat_id,
                publication.user_id,
                publication.username,
                publication.status,
                publication.count,
                publication.display_name,
            ]
        case Takeover():
            return [
                "takeover",
                publication.chat_id,
                publication.user_id,
                publication.claim.settled_us,
                publication.connection_id,
            ]
        case CrowdedOut():
            return ["crowded", publication.chat_id, publication.user_id, publication.claim.settled_us]
        case MemberChanged():
            return [
                "member",
                publication.chat_id,
                publication.user_id,
                publication.role,
                publication.muted_until,
            ]
        case MemberRemoved():
            return ["removed", publication.chat_id, publication.user_id]


def _reaction_fields(reaction: Reaction | None) -> list[object] | None:
    return None if reaction is None else [reaction.user_id, reaction.key, reaction.removed, reaction.counts]


def _content_fields(event: ChatEvent) -> list[object]:
    """What few events have, up to the last of these fields that this one has."""
    reaction = event.reaction
    if event.mentions or event.reply_to is not None:
        fields = [event.data, _optional_person(event.by), event.reactions, _reaction_fields(reaction)]
        return [*fields, _target_fields(event.reply_to), event.mentions]
    if event.reactions is not None or reaction is not None:
        return [event.data, _optional_person(event.by), event.reactions, _reaction_fields(reaction)]
    if event.by is not None:
        return [event.data, _person_fields(event.by)]
    return [] if event.data is None else [event.data]


def _with_content(event: ChatEvent, fields: list[Any]) -> ChatEvent:
    """The event with the fields of `_content_fields`; a missing one has its default."""
    reaction = fields[3] if len(fields) > 3 else None
    return replace(
        event,
        data=fields[0],
        by=_person(fields, 1),
        reactions=fields[2] if len(fields) > 2 else None,
        reaction=None if reaction is None else Reaction(*reaction),
        reply_to=_target(fields[4]) if len(fields) > 4 else None,
        mentions=tuple(fields[5]) if len(fields) > 5 else (),
    )


def _optional_person(person: Person | None) -> list[object] | None:
    return None if person is None else _person_fields(person)


def _target_fields(target: RepliedTo | None) -> list[object] | None:
    if target is None:
        return None
    return [target.id, _optional_person(target.sender), target.text]


def _person(fields: list[Any], place: int) -> Person | None:
    return None if len(fields) <= place or fields[place] is None else Person(*fields[place])


def _target(fields: list[Any] | None) -> RepliedTo | None:
    return None if fields is None else RepliedTo(fields[0], _person(fields, 1), fields[2])


def _person_fields(person: Person) -> list[object]:
    return [person.id, person.username, person.first_name, person.last_name, person.display_name]


def decode(payload: bytes) -> Publication | None:
    """The publication in `payload`; None for a kind that this version does not know.

    Raises: ValueError if `payload` is not a publication.
    """
    try:
        fields: list[Any] = read_json(payload)
        return _publication(fields)
    except (TypeError, IndexError, KeyError, OverflowError) as error:
        raise ValueError(f"not a publication: {error}") from error


def seq_of(payload: bytes) -> int | None:
    """The seq of a stored event, parsed from the start of its payload; None for every other publication.

    A node also receives its own publications, which it has already delivered; for most of them it needs only the seq.
    """
    if not payload.startswith(_STORED):
        return None
    try:
        return int(payload.split(b",", 3)[2])
    except (ValueError, IndexError):
        return None


def _publication(fields: list[Any]) -> Publication | None:
    kind = fields[0]
    match kind:
        case "message" | "edit" | "delete" | "reaction":
            event = ChatEvent(
                chat_id=fields[1],
                seq=fields[2],
                kind=EventKind(kind),
                message_id=fields[3],
                sender=Person(*fields[4]),
                text=fields[5],
                created_at=datetime.fromtimestamp(fields[6] / _MICROSECOND, UTC),
                is_edited=fields[7],
                is_deleted=fields[8],
                client_msg_id=fields[9],
            )
            return event if len(fields) <= 10 else _with_content(event, fields[10:])
        case "typing":
            return Typing(fields[1], Person(*fields[2]), fields[3])
        case "read":
            return MessagesRead(fields[1], Person(*fields[2]), fields[3])
        case "presence":
            status: Literal["join", "leave"] = fields[4]
            return PresenceChange(fields[1], fields[2], fields[3], status, *fields[5:7])
        case "takeover":
            return Takeover(fields[1], fields[2], Claim.settled(fields[3]), fields[4])
        case "crowded":
            return CrowdedOut(fields[1], fields[2], Claim.settled(fields[3]))
        case "member":
            return MemberChanged(fields[1], fields[2], fields[3], fields[4])
        case "removed":
            return MemberRemoved(fields[1], fields[2])
        case _:
            return None
