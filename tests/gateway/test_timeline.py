from datetime import UTC, datetime

from gateway.timeline import MAX_HELD, Timeline
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


def seqs(events: list[ChatEvent]) -> list[int]:
    return [event.seq for event in events]


def test_events_in_order_are_due_at_once():
    timeline = Timeline()
    timeline.start(4)
    assert seqs(timeline.add([event(5), event(6)])) == [5, 6]
    assert timeline.last_seq == 6


def test_an_event_that_comes_too_early_waits_for_the_hole_to_close():
    timeline = Timeline()
    timeline.start(0)
    assert timeline.add([event(2), event(3)]) == []
    assert timeline.has_gap
    assert seqs(timeline.add([event(1)])) == [1, 2, 3]
    assert not timeline.has_gap


def test_an_event_that_was_delivered_is_dropped():
    timeline = Timeline()
    timeline.start(0)
    timeline.add([event(1), event(2)])
    assert timeline.add([event(1), event(2)]) == []
    assert timeline.last_seq == 2


def test_what_arrives_before_the_position_is_known_is_held_and_the_old_part_dropped():
    timeline = Timeline()
    assert timeline.add([event(3), event(5), event(4)]) == []
    assert not timeline.has_gap
    assert seqs(timeline.start(3)) == [4, 5]


def test_a_hole_behind_the_start_stays_a_gap():
    timeline = Timeline()
    timeline.add([event(6)])
    assert timeline.start(4) == []
    assert timeline.has_gap


def test_what_is_held_is_bounded():
    timeline = Timeline()
    timeline.start(0)
    timeline.add(event(seq) for seq in range(2, 2 * MAX_HELD))
    assert len(timeline.add([event(1)])) == MAX_HELD + 1
