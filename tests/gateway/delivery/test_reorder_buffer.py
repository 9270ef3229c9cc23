from gateway.delivery.reorder_buffer import MAX_HELD, ReorderBuffer
from storage.records import ChatEvent
from tests.gateway.delivery.events import event


def seqs(events: list[ChatEvent]) -> list[int]:
    return [event.seq for event in events]


def test_events_in_order_are_released_at_once():
    reorder_buffer = ReorderBuffer()
    reorder_buffer.start(4)
    assert seqs(reorder_buffer.add([event(5), event(6)])) == [5, 6]
    assert reorder_buffer.last_seq == 6


def test_early_event_waits_until_gap_closes():
    reorder_buffer = ReorderBuffer()
    reorder_buffer.start(0)
    assert reorder_buffer.add([event(2), event(3)]) == []
    assert reorder_buffer.has_gap
    assert seqs(reorder_buffer.add([event(1)])) == [1, 2, 3]
    assert not reorder_buffer.has_gap


def test_delivered_event_is_dropped():
    reorder_buffer = ReorderBuffer()
    reorder_buffer.start(0)
    reorder_buffer.add([event(1), event(2)])
    assert reorder_buffer.add([event(1), event(2)]) == []
    assert reorder_buffer.last_seq == 2


def test_events_before_start_are_held_and_old_ones_dropped():
    reorder_buffer = ReorderBuffer()
    assert reorder_buffer.add([event(3), event(5), event(4)]) == []
    assert not reorder_buffer.has_gap
    assert seqs(reorder_buffer.start(3)) == [4, 5]


def test_missing_event_after_start_is_a_gap():
    reorder_buffer = ReorderBuffer()
    reorder_buffer.add([event(6)])
    assert reorder_buffer.start(4) == []
    assert reorder_buffer.has_gap


def test_held_events_are_bounded():
    reorder_buffer = ReorderBuffer()
    reorder_buffer.start(0)
    reorder_buffer.add(event(seq) for seq in range(2, 2 * MAX_HELD))
    assert len(reorder_buffer.add([event(1)])) == MAX_HELD + 1


def test_held_event_that_was_stored_before_is_no_gap():
    reorder_buffer = ReorderBuffer()
    reorder_buffer.add([event(3)])
    assert reorder_buffer.start(3) == []
    assert not reorder_buffer.has_gap


def test_restart_drops_what_is_held_and_goes_on():
    reorder_buffer = ReorderBuffer()
    reorder_buffer.start(0)
    reorder_buffer.add([event(5)])
    reorder_buffer.restart(2)
    assert (reorder_buffer.last_seq, reorder_buffer.has_gap) == (2, False)
    assert reorder_buffer.add([event(4)]) == []
    assert seqs(reorder_buffer.add([event(3)])) == [3, 4]
