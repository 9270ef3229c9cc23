"""Stored events for tests of delivery."""

from datetime import UTC, datetime

from storage.records import ChatEvent, EventKind, Person


def event(seq: int) -> ChatEvent:
    return ChatEvent(
        chat_id=1,
        seq=seq,
        kind=EventKind.MESSAGE,
        message_id=100 + seq,
        sender=Person(1, "ann"),
        text=f"message {seq}",
        created_at=datetime(2024, 1, 15, 10, 30, tzinfo=UTC),
        is_edited=False,
        is_deleted=False,
        client_msg_id=f"c{seq}",
    )
