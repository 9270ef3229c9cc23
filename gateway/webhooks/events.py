"""Events as they leave the system: what waits in the outbox becomes JSON."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import orjson

from gateway.dialects.chat import message_object
from gateway.interfaces.outbox import OutsideEvent
from httpapi.bounded_json import to_json
from storage.outbox_records import EventType, ExtraEvent, LoggedEvent
from storage.records import ChatEvent

_TYPES: Final[Mapping[str, EventType]] = {
    "message": EventType.MESSAGE_CREATED,
    "edit": EventType.MESSAGE_EDITED,
    "delete": EventType.MESSAGE_DELETED,
}


def type_of(event: ChatEvent) -> EventType | None:
    """The type of an event of the log; None if it does not leave the system."""
    return _TYPES.get(event.kind)


def logged_event(epoch: str, entry: LoggedEvent, type_: EventType) -> OutsideEvent:
    """An event of the log."""
    event = entry.event
    id_ = f"{epoch}:{event.chat_id}:{event.seq}"
    fields = {
        "id": id_,
        "type": type_.value,
        "occurred_at": entry.stored_at,
        "chat_id": event.chat_id,
        "seq": event.seq,
        "data": message_object(event),
    }
    return OutsideEvent(id_, type_.value, str(event.chat_id), to_json(fields))


def extra_event(epoch: str, entry: ExtraEvent) -> OutsideEvent:
    """An event that the log does not have. Its id is that of the log's event before it, and a number of its own."""
    is_chat = entry.stream > 0
    where = str(entry.stream) if is_chat else f"user-{-entry.stream}"
    id_ = f"{epoch}:{where}:{entry.after_seq}.{entry.id}"
    fields: dict[str, object] = {
        "id": id_,
        "type": entry.type,
        "occurred_at": datetime.fromtimestamp(entry.created_at / 1000, UTC),
    }
    if is_chat:
        fields |= {"chat_id": entry.stream, "seq": entry.after_seq}
    fields["data"] = orjson.Fragment(entry.data)
    return OutsideEvent(id_, entry.type, str(abs(entry.stream)), to_json(fields))
