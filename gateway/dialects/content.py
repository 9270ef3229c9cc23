"""What a message has beside its text, as every dialect shows it: absent keys where it has none."""

import orjson

from storage.records import SYSTEM, ChatEvent, Person


def person_object(person: Person, *, is_named: bool) -> dict[str, object] | None:
    """A sender. With display names that of a system message is null; without, as in the seed, it is user `SYSTEM`."""
    if person.id == SYSTEM.id and is_named:
        return None
    shown: dict[str, object] = {
        "id": person.id,
        "username": person.username,
        "first_name": person.first_name,
        "last_name": person.last_name,
    }
    if is_named:
        shown["display_name"] = person.shown_name
    return shown


def add_content(fields: dict[str, object], event: ChatEvent, *, is_named: bool) -> None:
    """Add the data, the message that it replies to, the mentions and the number of replies."""
    if event.data is not None:
        fields["data"] = orjson.Fragment(event.data)
    if (target := event.reply_to) is not None:
        sender = None if target.sender is None else person_object(target.sender, is_named=is_named)
        fields["reply_to"] = {"id": target.id, "sender": sender, "text": target.text}
    if event.mentions:
        fields["mentions"] = event.mentions
    if event.reply_count:
        fields["reply_count"] = event.reply_count
