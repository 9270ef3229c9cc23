"""The values of the transactional outbox: what endpoints want, and what waits for them."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct, field

from storage.records import ChatEvent


class EventType(StrEnum):
    """What an event that leaves the system says; `<resource>.<what happened>`."""

    MESSAGE_CREATED = "message.created"
    MESSAGE_EDITED = "message.edited"
    MESSAGE_DELETED = "message.deleted"
    REACTION_ADDED = "reaction.added"
    REACTION_REMOVED = "reaction.removed"
    CHAT_CREATED = "chat.created"
    CHAT_CHANGED = "chat.changed"
    CHAT_REMOVED = "chat.removed"
    MEMBER_ADDED = "member.added"
    MEMBER_CHANGED = "member.changed"
    MEMBER_REMOVED = "member.removed"
    USER_ONLINE = "user.online"
    USER_OFFLINE = "user.offline"


PRESENCE_TYPES: Final = frozenset({EventType.USER_ONLINE, EventType.USER_OFFLINE})
"""For these, nodes store who is present."""

TYPES_OF_KINDS: Final[Mapping[str, tuple[EventType, ...]]] = {
    "message": (EventType.MESSAGE_CREATED,),
    "edit": (EventType.MESSAGE_EDITED,),
    "delete": (EventType.MESSAGE_DELETED,),
    "reaction": (EventType.REACTION_ADDED, EventType.REACTION_REMOVED),
}
"""The types that the kinds of the chat log's events become (`storage.records.EventKind`)."""


class Wanted(Struct, frozen=True):
    """Which types each endpoint receives, by the name of the endpoint. Without endpoints nothing is written."""

    types: dict[str, frozenset[str]] = field(default_factory=dict)

    def endpoints_of(self, type_: EventType) -> list[str]:
        """The endpoints that receive this type, in the order in which their rows are locked."""
        return sorted(name for name, types in self.types.items() if type_ in types)

    def kinds_of(self, endpoint: str) -> list[str]:
        """The kinds of the log's events that the endpoint may receive."""
        types = self.types.get(endpoint, frozenset())
        return [kind for kind, possible in TYPES_OF_KINDS.items() if types & set(possible)]


NOTHING_WANTED: Final = Wanted()
EXTRAS_READ: Final = 100
"""Events of one stream that are read of `outbox_events` at a time: as many as a delivery has at most."""


class Head(Struct, frozen=True):
    """What waits of one stream for one endpoint.

    `stream` is a chat's id, or minus a user's. The log's events from `from_seq` to `to_seq` wait, and if `has_extras`
    events of `outbox_events`: those before the log's event `to_seq + 1`, and those up to the id `extra_to`. What others
    come after is not known to be in the head. `version` counts what was added. `failing_since` and `created_at` (of the
    oldest) are in Unix milliseconds.
    """

    id: int
    stream: int
    from_seq: int
    to_seq: int
    has_extras: bool
    extra_to: int
    version: int
    attempts: int
    failing_since: int | None
    created_at: int

    def has(self, extra: "ExtraEvent") -> bool:
        """Whether all that comes before this event of the stream is in the head, or was delivered."""
        return extra.after_seq <= self.to_seq or extra.id <= self.extra_to


class LoggedEvent(Struct, frozen=True, gc=False):
    """An event of the chat log, with the time of its own row."""

    event: ChatEvent
    stored_at: datetime


class ExtraEvent(Struct, frozen=True, gc=False):
    """A row of `outbox_events`: `data` is a JSON object, or empty if the event is at `log_seq` of the chat's log.

    It comes after the log's event `after_seq`; `created_at` is in Unix milliseconds.
    """

    id: int
    stream: int
    after_seq: int
    log_seq: int | None
    type: str
    data: str
    created_at: int


class DeadLetter(Struct, frozen=True, gc=False):
    """An event whose delivery was given up at `dead_at` (Unix milliseconds); `error` is the last failure."""

    id: int
    endpoint: str
    stream: int
    after_seq: int
    log_seq: int | None
    type: str
    error: str
    created_at: int
    dead_at: int


class Backlog(Struct, frozen=True, gc=False):
    """What waits for an endpoint: events, chats (or users) they are of, and the age of the oldest in seconds.

    `error` is the last failure of one of those that fail, or empty.
    """

    events: int
    streams: int
    failing: int
    dead: int
    lag_s: float
    error: str = ""


class Dropped(Struct, frozen=True, gc=False):
    """How many events one call has dropped, counted as in a `Backlog` with its dead letters, and whether all are."""

    events: int
    is_all: bool
