"""What is promised in figures, measured one by one, so that runs can be put together: see `summary`.

A fault speaks for itself only if no other one struck or lasted between its beginning and its end; so only those count.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.faults.figures import ack_times
from tests.faults.observer import Struck
from tests.faults.run import Outcome
from tests.faults.schedule import Kind

KILLS = frozenset(
    {
        Kind.KILL,
        Kind.CRASH_BEFORE_COMMIT,
        Kind.CRASH_DURING_COMMIT,
        Kind.CRASH_AFTER_COMMIT,
        Kind.CRASH_AFTER_PUBLISH,
        Kind.CRASH_AFTER_ACK,
    }
)
AFTERWARDS_S = 3.0
"""Clients that were sent away are back by then."""


@dataclass
class Samples:
    """All in seconds, but the reconnects."""

    recovery_after_kill_s: list[float] = field(default_factory=list)
    """From kill −9 until everybody is connected, up to date and answered, their own back-off included."""
    caught_up_after_redis_restart_s: list[float] = field(default_factory=list)
    """From when Redis is back."""
    deafness_noticed_s: list[float] = field(default_factory=list)
    """From when nothing comes down a subscription until its node knows."""
    ack_while_redis_is_down_s: list[float] = field(default_factory=list)
    """Of what was first offered while both servers were dead."""
    reconnects_in_rolling_restart: list[int] = field(default_factory=list)
    """Each client's, while all three nodes were restarted one after the other."""


def samples(outcome: Outcome, clients: Sequence[str]) -> Samples:
    """Those of one run; `clients` are the names of all."""
    found = Samples()
    acks = ack_times(outcome)
    for struck in _alone(outcome.struck):
        assert struck.healed is not None
        if struck.kind in KILLS and struck.recovered is not None:
            found.recovery_after_kill_s.append(struck.recovered - struck.began)
        if struck.kind is Kind.REDIS_RESTART:
            found.ack_while_redis_is_down_s += [s for at, s in acks if struck.began <= at - s <= struck.healed]
            if struck.well is not None:
                found.caught_up_after_redis_restart_s.append(struck.well - struck.healed)
        if struck.kind is Kind.ROLLING_RESTART:
            until = struck.healed + AFTERWARDS_S
            times = Counter(name for at, name in outcome.history.reconnects if struck.began <= at <= until)
            found.reconnects_in_rolling_restart += [times[name] for name in clients]
    found.deafness_noticed_s = [
        struck.noticed - struck.began for struck in outcome.struck if struck.noticed is not None
    ]
    return found


def _alone(struck: Sequence[Struck]) -> Iterator[Struck]:
    for one in struck:
        if one.healed is None:
            continue
        end = max(one.healed, one.well or one.healed)
        others = (other for other in struck if other is not one)
        if not any(other.began < end and (other.healed or end) > one.began for other in others):
            yield one
