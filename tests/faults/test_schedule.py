"""The schedule of faults."""

from collections import Counter

from tests.faults.schedule import Kind, plan


def test_seed_determines_schedule() -> None:
    assert plan(1, 120) == plan(1, 120)
    assert plan(1, 120) != plan(2, 120)


def test_every_kind_occurs_before_any_repeats() -> None:
    counts = Counter(fault.kind for fault in plan(3, 600)[:-1])
    assert counts.keys() == set(Kind)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_ten_minute_plan_ends_with_fault_beyond_writing() -> None:
    faults = plan(4, 600)
    assert len(faults) > 60
    last = faults[-1]
    assert (last.kind, last.at < 600 < last.at + last.duration_s) == (Kind.REDIS_RESTART, True)
