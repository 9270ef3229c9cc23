"""The rig run for real: the promise holds under faults, and the checker turns red when a rule is broken.

By hand, and longer: `python -m tests.faults --minutes 10 --seed 1`.
"""

from pathlib import Path

import pytest

from tests.faults.directed import DIRECTED, run_directed
from tests.faults.faults import possible_kinds
from tests.faults.mutations import Mutation
from tests.faults.report import summary
from tests.faults.run import FULL, Load, run
from tests.faults.schedule import Kind, Planned, plan

FULL_S = 600.0
SHORT_S = 85.0
"""With starting, healing and a quiet time, two minutes."""


@pytest.mark.timeout(300)
async def test_two_minutes_of_faults_lose_nothing(folder: Path) -> None:
    faults = plan(1, SHORT_S, possible_kinds())
    outcome = await run(folder, faults, writing_s=SHORT_S, load=Load(), seed=1)
    assert not outcome.violations, summary(outcome)
    assert len(outcome.history.acks) > 500
    if outcome.history.aged:  # a slow machine may store too few events for any to grow old
        assert any(found[0].seq > 1 for found in outcome.history.reads.values()), "retention has removed nothing"


@pytest.mark.full
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(100, 110))
async def test_ten_minutes_of_faults_lose_nothing(folder: Path, seed: int) -> None:
    faults = plan(seed, FULL_S, possible_kinds())
    outcome = await run(folder, faults, writing_s=FULL_S, load=FULL, seed=seed)
    assert not outcome.violations, summary(outcome)
    assert len(outcome.struck) >= 20
    assert len(outcome.history.acks) >= 30_000


SHOWN = Mutation.NO_GAP_REPAIR
"""The one mutation of the short suite, so that it shows a checker that can fail; `--full` has them all."""


@pytest.mark.parametrize(
    "mutation", [SHOWN, *(pytest.param(other, marks=pytest.mark.full) for other in Mutation if other is not SHOWN)]
)
async def test_mutation_makes_checker_fail(folder: Path, mutation: Mutation) -> None:
    outcome = await run_directed(folder, DIRECTED[mutation], mutation)
    assert DIRECTED[mutation].expected in {violation.rule for violation in outcome.violations}, summary(outcome)


@pytest.mark.full
@pytest.mark.parametrize("mutation", Mutation)
async def test_same_run_without_mutation_passes(folder: Path, mutation: Mutation) -> None:
    outcome = await run_directed(folder, DIRECTED[mutation], None)
    assert not outcome.violations, summary(outcome)


async def test_abandoned_handshake_replaces_no_live_connection(folder: Path) -> None:
    """It waits for the database while its client is let in elsewhere, and must not take the seat when it goes on."""
    faults = [
        Planned(0.5, Kind.STORM, 0, 1.0, 1),  # so that every node has as many connections as there are handshakes
        Planned(2.0, Kind.POSTGRES_BLACKHOLE, 0, 4.0, 1),
        Planned(2.1, Kind.STORM, 0, 1.0, 1),  # a third of all clients come to the node that waits
        Planned(4.5, Kind.CLIENTS_RESET, 0, 1.0, 1),  # and are passed on to others
    ]
    outcome = await run(folder, faults, writing_s=8.0, load=Load(chats=4, members=7), seed=0)
    assert not outcome.violations, summary(outcome)
