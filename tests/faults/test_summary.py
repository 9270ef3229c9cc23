"""The summary of several runs, and which faults give samples."""

from dataclasses import asdict

import pytest

from tests.faults.figures import figures
from tests.faults.history import Ack, Attempt, History
from tests.faults.observer import Struck
from tests.faults.run import Outcome
from tests.faults.samples import samples
from tests.faults.schedule import Kind
from tests.faults.summary import summed_up

CLIENTS = ("ann", "bob")


def outcome(*struck: Struck, seed: int = 1) -> Outcome:
    """A run in which Ann's message was acknowledged while these faults lasted, and Bob came back twice."""
    history = History(
        attempts=[Attempt(11, 1, 1, "ann.1")],
        acks=[Ack(11.5, 1, "ann.1", 1, 101)],
        reconnects=[(12.0, "bob"), (21.0, "bob"), (40.0, "bob")],
    )
    return Outcome(seed, history, struck, [(30.0, 2.0, 3.0)], [], 60.0)


def test_each_guarantee_has_its_sample() -> None:
    killed = Struck(Kind.CRASH_AFTER_ACK, 0, began=1, healed=2, recovered=4.5, well=4.5)
    restarted = Struck(Kind.REDIS_RESTART, 0, began=10, healed=14, recovered=15, well=16)
    rolled = Struck(Kind.ROLLING_RESTART, 0, began=18.5, healed=19, recovered=20, well=20)
    deaf = Struck(Kind.REDIS_DEAF_EAR, 0, began=30, healed=38, noticed=37)
    found = samples(outcome(killed, restarted, rolled, deaf), CLIENTS)
    assert asdict(found) == {
        "recovery_after_kill_s": [3.5],
        "caught_up_after_redis_restart_s": [2],
        "ack_while_redis_is_down_s": [0.5],
        "deafness_noticed_s": [7],
        "reconnects_in_rolling_restart": [0, 1],
    }


@pytest.mark.parametrize(("began", "healed", "counts"), [(4, 6, False), (9, 11, False), (1, 20, False), (12, 13, True)])
def test_fault_during_another_fault_gives_no_sample(began: float, healed: float, counts: bool) -> None:
    killed = Struck(Kind.KILL, 0, began=5, healed=8, recovered=10, well=10)
    other = Struck(Kind.POSTGRES_PAUSE, 0, began=began, healed=healed, well=healed)
    assert samples(outcome(killed, other), CLIENTS).recovery_after_kill_s == ([5] if counts else [])


def test_unhealed_fault_discards_later_samples() -> None:
    never = Struck(Kind.POSTGRES_PAUSE, 0, began=1)
    killed = Struck(Kind.KILL, 0, began=5, healed=8, recovered=10, well=10)
    assert samples(outcome(never, killed), CLIENTS).recovery_after_kill_s == []


def test_runs_are_summed() -> None:
    runs = []
    for seed in (1, 2):
        came_of = outcome(Struck(Kind.KILL, 0, began=1, healed=2, recovered=2.0 + seed, well=5), seed=seed)
        told = {"figures": asdict(figures(came_of)), "samples": asdict(samples(came_of, CLIENTS))}
        runs.append({"seed": seed, "duration_s": 1800, **told})
    lines = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in summed_up(runs).splitlines() if line}
    assert lines["runs (seeds)"] == "2 (1, 2), 1.0 h"
    assert lines["acknowledged"] == "2 (at least 1 a run)"
    assert lines["kill −9 of a gateway"] == "2"
    assert lines["all well after kill −9, back-off included: p50 / p95 / max"] == "3.0 s / 3.0 s / 3.0 s (n = 2)"
    assert lines["deaf subscription noticed after: p50 / p95 / max"] == "– / – / – (n = 0)"
