"""Events as they leave the system: what waits in the outbox becomes JSON."""

from datetime import UTC, datetime

import orjson

from gateway.dialects.chat import message_object, reaction_object
from gateway.interfaces.outbox import OutsideEvent
from gateway.webhooks.attendance import Attendance
from httpapi.bounded_json import to_json
from storage.outbox_records import TYPES_OF_KINDS, EventType, ExtraEvent, LoggedEvent
from storage.records import ChatEvent


def type_of(event: ChatEvent) -> EventType | None:
    """The type of an event of the log; None if it does not leave the system."""
    types = TYPES_OF_KINDS.get(event.kind, ())
    if event.reaction is not None:
        return EventType.REACTION_REMOVED if event.reaction.removed else EventType.REACTION_ADDED
    return types[0] if types else None


def logged_event(epoch: str, entry: LoggedEvent, type_: EventType, attendance: Attendance | None) -> OutsideEvent:
    """An event of the log. `attendance` is None if it is not known."""
    event = entry.event
    id_ = f"{epoch}:{event.chat_id}:{event.seq}"
    fields = {
        "id": id_,
        "type": type_,
        "occurred_at": entry.stored_at,
        "chat_id": event.chat_id,
        "seq": event.seq,
        "data": _data(entry, type_, attendance),
    }
    return OutsideEvent(id_, type_, str(event.chat_id), to_json(fields))


def _data(entry: LoggedEvent, type_: EventType, attendance: Attendance | None) -> dict[str, object]:
    event = entry.event
    if event.reaction is not None:
        return reaction_object(event.message_id, event.reaction)
    data = message_object(event)
    if type_ is EventType.MESSAGE_CREATED:
        data["absent"] = None if attendance is None else attendance.absent(entry.stored_at, event.sender.id)
        if attendance is not None and attendance.is_truncated:
            data["absent_truncated"] = True
    return data


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
