"""A short run for each mutation: the faults under which its broken rule matters, and none that would hide it."""

from collections.abc import Sequence
from typing import Final

from tests.faults.mutations import Mutation
from tests.faults.schedule import Kind, Planned

WRITING_S: Final = 12.0

_CRASHES = (2.0, 5.0, 8.0)


def _crashes(kind: Kind) -> Sequence[Planned]:
    return tuple(Planned(at, kind, place, 2.0, 3) for place, at in enumerate(_CRASHES))


PLANS: Final[dict[Mutation, Sequence[Planned]]] = {
    # what was acknowledged within the last moments of a node dies with its transaction
    Mutation.ACK_BEFORE_COMMIT: _crashes(Kind.CRASH_AFTER_ACK),
    # what a node stored but did not publish is a hole for the others, as soon as somebody else writes
    Mutation.NO_GAP_REPAIR: _crashes(Kind.CRASH_AFTER_ACK),
    # the last messages are stored while Redis is away, and no later one shows that they are missing
    Mutation.NO_POSITION_CHECK: (Planned(WRITING_S - 5, Kind.REDIS_RESTART, 0, 13.0, 1),),
    # what is stored but not acknowledged is sent again
    Mutation.NO_UNIQUE_KEY: _crashes(Kind.CRASH_AFTER_COMMIT),
    # whoever comes back has missed what was said meanwhile
    Mutation.NO_REPLAY: _crashes(Kind.KILL),
}
