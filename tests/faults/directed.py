"""A short run for each mutation: the faults for which its broken rule matters, without those that would hide it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.checker import Rule
from tests.faults.mutations import Mutation
from tests.faults.rig import NODES, make_folder
from tests.faults.run import DEFAULT_CALM, Calm, Load, Outcome, run
from tests.faults.schedule import Kind, Planned

LOAD: Final = Load(chats=4, members=4, writers=2, python=0, posters=1, rate=30)
_CRASHES_AT = (1.0, 3.0, 5.0)
_PATIENCE_S = 3.0
"""What is broken by a mutation need not be waited for."""


@dataclass(frozen=True)
class Directed:
    """What to do, and what the checker must then say; without the mutation, it must say nothing."""

    faults: Sequence[Planned]
    expected: Rule
    writing_s: float = 7.0
    quiet_s: float = 1.0


def _crashes(kind: Kind) -> Sequence[Planned]:
    return tuple(Planned(at, kind, place, 2.0, 1) for place, at in enumerate(_CRASHES_AT))


DIRECTED: Final[dict[Mutation, Directed]] = {
    # what was acknowledged within the last second of a node dies with its transaction
    Mutation.ACK_BEFORE_COMMIT: Directed(_crashes(Kind.CRASH_AFTER_ACK), Rule.LOST),
    # what a node stored but did not publish is a hole for the others at its next event of the chat
    Mutation.NO_GAP_REPAIR: Directed(
        tuple(Planned(1.0, Kind.LOST_PUBLICATIONS, place, 5.0, 1) for place in range(NODES)), Rule.HOLE
    ),
    # the last messages are stored while Redis is away, and no later one shows that they are missing
    Mutation.NO_POSITION_CHECK: Directed(
        (Planned(1.0, Kind.REDIS_RESTART, 0, 9.0, 1),), Rule.BEHIND, 3.0, DEFAULT_CALM.quiet_s
    ),
    # what is stored but not acknowledged is sent again
    Mutation.NO_UNIQUE_KEY: Directed(_crashes(Kind.CRASH_AFTER_COMMIT), Rule.DUPLICATE),
    # a reconnecting client has missed the messages of that time
    Mutation.NO_REPLAY: Directed(_crashes(Kind.KILL), Rule.HOLE),
}


async def run_directed(folder: Path, directed: Directed, mutation: Mutation | None) -> Outcome:
    """Do it in `folder`, with the rule broken, or, as a control, with none."""
    return await run(
        make_folder(folder),
        directed.faults,
        writing_s=directed.writing_s,
        load=LOAD,
        seed=0,
        mutation=mutation,
        calm=Calm(_PATIENCE_S if mutation else DEFAULT_CALM.within_s, directed.quiet_s),
    )
