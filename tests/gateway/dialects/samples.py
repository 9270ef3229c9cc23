"""A stored message for tests of the dialects."""

from datetime import UTC, datetime

from storage.records import ChatEvent, EventKind, Person

JOHN = Person(1, "john_doe", "John", "Doe")
MESSAGE = ChatEvent(
    chat_id=1,
    seq=7,
    kind=EventKind.MESSAGE,
    message_id=123,
    sender=JOHN,
    text="Привет, как дела?",
    created_at=datetime(2024, 1, 15, 10, 30, 0, 999999, tzinfo=UTC),
    is_edited=False,
    is_deleted=False,
    client_msg_id="c1",
)
