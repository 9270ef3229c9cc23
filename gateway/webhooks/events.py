"""Events as they leave the system: what waits in the outbox becomes JSON."""

from collections.abc import Iterable, Set
from datetime import UTC, datetime
from typing import Final

import orjson

from gateway.dialects.chat import message_object, reaction_object
from gateway.dialects.content import person_object
from gateway.interfaces.outbox import OutsideEvent
from gateway.webhooks.attendance import Attendance
from httpapi.bounded_json import to_json
from storage.outbox_records import TYPES_OF_KINDS, EventType, ExtraEvent, LoggedEvent
from storage.records import EventKind, Person

_MESSAGE_TYPES: Final = {EventKind(kind): types[0] for kind, types in TYPES_OF_KINDS.items()}


def logged_events(
    epoch: str, chat_id: int, entries: Iterable[LoggedEvent], types: Set[str], attendance: Attendance | None
) -> list[OutsideEvent | None]:
    """Each event of a chat's log as it leaves; None where it is not of these types. `attendance`: None if not known.

    One loop over all of a chat: a method per event made it a quarter slower.
    """
    found: list[OutsideEvent | None] = []
    key, id_prefix = str(chat_id), f"{epoch}:{chat_id}:"
    senders: dict[Person, dict[str, object] | None] = {}
    for entry in entries:
        event = entry.event
        sender, stored_at, seq, reaction = event.sender, entry.stored_at, event.seq, event.reaction
        type_ = _MESSAGE_TYPES.get(event.kind)
        if reaction is not None:
            type_ = EventType.REACTION_REMOVED if reaction.removed else EventType.REACTION_ADDED
        if type_ is None or type_ not in types:
            found.append(None)
            continue
        if reaction is not None:
            data = reaction_object(event.message_id, reaction)
        else:
            if (shown := senders.get(sender)) is None:
                shown = senders[sender] = person_object(sender, is_named=True)
            data = message_object(event, sender=shown)
            if type_ is EventType.MESSAGE_CREATED:
                data["absent"] = None if attendance is None else attendance.absent(stored_at, sender.id)
                if attendance is not None and attendance.is_truncated:
                    data["absent_truncated"] = True
        id_ = f"{id_prefix}{seq}"
        fields = {"id": id_, "type": type_, "occurred_at": stored_at, "chat_id": chat_id, "seq": seq, "data": data}
        found.append(OutsideEvent(id_, type_, key, to_json(fields)))
    return found


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
