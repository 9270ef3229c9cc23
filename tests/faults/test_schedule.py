"""The schedule of faults, before anything is broken."""

from collections import Counter

from tests.faults.schedule import Kind, plan


def test_a_seed_names_one_schedule() -> None:
    assert plan(1, 120) == plan(1, 120)
    assert plan(1, 120) != plan(2, 120)


def test_every_kind_comes_before_any_comes_again() -> None:
    counts = Counter(fault.kind for fault in plan(3, 600)[:-1])
    assert counts.keys() == set(Kind)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_ten_minutes_have_more_than_twenty_faults_and_the_last_outlives_the_writing() -> None:
    faults = plan(4, 600)
    assert len(faults) > 60
    last = faults[-1]
    assert (last.kind, last.at < 600 < last.at + last.duration_s) == (Kind.REDIS_RESTART, True)
