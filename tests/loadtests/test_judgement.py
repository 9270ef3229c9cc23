"""The criteria of a load test: positions, stamps, thresholds."""

from dataclasses import replace

import pytest

from loadtests.gap_detector import Position
from loadtests.participants import Kind, plan
from loadtests.profiles import ramp, spike
from loadtests.stamp import age_s, new_stamp
from loadtests.thresholds import Figures, Thresholds, shortcomings

THRESHOLDS = Thresholds(ack_p99_ms=100, delivery_p99_ms=200, failure_ratio=0.01)
GOOD = Figures(acks=10, ack_p99_ms=100, deliveries=10, delivery_p99_ms=200, requests=100, failures=1, broken_promises=0)


def test_events_in_order_are_neither_gap_nor_duplicate() -> None:
    position = Position(7)
    assert [position.hear(seq) for seq in (8, 9, 10)] == [0, 0, 0]
    assert position.seq == 10


def test_gap_is_reported_once_with_its_size() -> None:
    position = Position(0)
    assert [position.hear(seq) for seq in (1, 4, 5)] == [0, 2, 0]


def test_repeated_event_is_a_duplicate_and_keeps_position() -> None:
    position = Position(0)
    assert [position.hear(seq) for seq in (1, 2, 2, 1, 3)] == [0, 0, -1, -2, 0]


def test_stamp_gives_age_of_its_message() -> None:
    first, second = new_stamp(), new_stamp()
    assert first != second
    assert len(first) <= 64, "the longest client_msg_id"
    age = age_s(first)
    assert age is not None
    assert 0 <= age < 5


@pytest.mark.parametrize("foreign", ["", "hello", "x.y.z", "12"])
def test_foreign_id_has_no_age(foreign: str) -> None:
    assert age_s(foreign) is None


def test_figures_within_thresholds_have_no_shortcomings() -> None:
    assert list(shortcomings(GOOD, THRESHOLDS)) == []


@pytest.mark.parametrize(
    ("figures", "word"),
    [
        (replace(GOOD, broken_promises=1), "gaps"),
        (replace(GOOD, acks=0), "proves nothing"),
        (replace(GOOD, deliveries=0), "proves nothing"),
        (replace(GOOD, ack_p99_ms=101), "acks"),
        (replace(GOOD, delivery_p99_ms=201), "deliveries"),
        (replace(GOOD, failures=2), "failures"),
    ],
)
def test_each_missed_threshold_gives_one_sentence(figures: Figures, word: str) -> None:
    (sentence,) = shortcomings(figures, THRESHOLDS)
    assert word in sentence


def test_plan_seats_every_user_in_rooms_of_similar_size() -> None:
    made = plan(1000, {Kind.PAIR: 1, Kind.ROOM: 1}, room_size=100)
    assert made.pairs >= 250
    assert sum(made.rooms) >= 500
    assert max(made.rooms) <= 100
    assert max(made.rooms) - min(made.rooms) <= 1
    assert made.people == 2 * made.pairs + sum(made.rooms)


def test_plan_has_no_chats_for_absent_user_classes() -> None:
    assert plan(10, {Kind.PAIR: 1, Kind.ROOM: 0}, room_size=100).rooms == ()
    assert plan(10, {Kind.PAIR: 0, Kind.ROOM: 1}, room_size=100).pairs == 0


def test_ramp_rises_in_steps_and_spike_rises_and_falls() -> None:
    assert [ramp(over, 100) for over in (0, 0.19, 0.2, 0.5, 0.8, 0.99, 1)] == [20, 20, 40, 60, 100, 100, 100]
    assert [spike(over, 100) for over in (0, 0.3, 0.4, 0.6, 0.7, 1)] == [20, 20, 100, 100, 20, 20]
