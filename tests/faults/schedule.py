"""The schedule of faults: a pure function of the seed. Every kind occurs before any repeats."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.faults.rig import NODES


class Kind(StrEnum):
    """The kinds of faults (delivery.md, "Failure modes")."""

    KILL = "kill −9 of a gateway"
    CRASH_BEFORE_COMMIT = "kill −9 before COMMIT"
    CRASH_DURING_COMMIT = "kill −9 during COMMIT"
    CRASH_AFTER_COMMIT = "kill −9 after COMMIT"
    CRASH_AFTER_PUBLISH = "kill −9 after PUBLISH"
    CRASH_AFTER_ACK = "kill −9 after ack"
    CLOCK_SKEW = "restart with a clock that is minutes off"
    PAUSE_GATEWAY = "SIGSTOP of a gateway"
    LOST_PUBLICATIONS = "every second publication of a gateway is lost"
    ROLLING_RESTART = "rolling restart"
    REDIS_RESTART = "Redis restart, all is lost"
    REDIS_FLUSH = "Redis FLUSHALL"
    REDIS_PAUSE = "Redis SIGSTOP"
    REDIS_KILL_PUBSUB = "Redis CLIENT KILL TYPE pubsub"
    REDIS_BLACKHOLE = "Redis link silent"
    REDIS_DEAF = "Redis link deaf, one way"
    REDIS_DEAF_EAR = "Redis subscription deaf, commands go through"
    REDIS_MUTE = "Redis link mute, one way"
    REDIS_FAILOVER = "Redis failover that loses the last writes"
    REDIS_MASTER_KILL = "kill −9 of the Redis master, failover"
    REDIS_SWITCH = "SENTINEL FAILOVER"
    REDIS_SLOW = "Redis link slow"
    REDIS_RESET = "Redis link reset"
    POSTGRES_RESTART = "PostgreSQL restart"
    POSTGRES_PAUSE = "PostgreSQL SIGSTOP"
    POSTGRES_TERMINATE = "pg_terminate_backend storm"
    POSTGRES_LOCKS = "chat rows locked by others"
    POSTGRES_TABLE_LOCK = "a table locked, as by a migration"
    POSTGRES_BLACKHOLE = "PostgreSQL link silent"
    POSTGRES_DEAF = "PostgreSQL link deaf, one way"
    POSTGRES_SLOW = "PostgreSQL link slow"
    POSTGRES_RESET = "PostgreSQL link reset"
    QUEUE_RESTART = "RabbitMQ kill −9 and restart"
    QUEUE_PAUSE = "RabbitMQ SIGSTOP"
    QUEUE_BLACKHOLE = "RabbitMQ link silent"
    QUEUE_RESET = "RabbitMQ link reset"
    NGINX_RELOAD = "nginx reload"
    CLIENTS_RESET = "all clients of a node reset"
    CLIENTS_BLACKHOLE = "client link silent"
    CLIENTS_DEAF = "client link deaf, one way"
    CLIENTS_SLOW = "client link slow"
    STALLED_READERS = "stalled readers"
    STORM = "everybody reconnects at once"


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault to come."""

    at: float
    """Seconds after everybody has connected."""
    kind: Kind
    place: int
    """The node it befalls, if it befalls one."""
    duration_s: float
    number: int
    """For crash points: at which passing."""


PAUSE_S = (3.0, 8.0)
"""Between the starts of two faults; with the durations below, some overlap."""
_DURATION_S = (1.0, 8.0)
_BEFORE_S, _AFTER_S = 10.0, 20.0
"""More around a rolling restart, which takes so long: it is to show how often clients come back because of it alone."""


def plan(seed: int, writing_s: float, kinds: Sequence[Kind] = tuple(Kind)) -> list[Planned]:
    """Faults over so many seconds of writing.

    The last is a Redis that dies before the writing ends and comes back after: what is then lost in Redis are *last*
    publications, which nothing but the position check can find.
    """
    choose = random.Random(seed)
    faults: list[Planned] = []
    at = 2.0
    bag = _bag(choose, kinds)
    while at < writing_s - 12.0:
        kind = next(bag)
        is_long = kind is Kind.ROLLING_RESTART
        at += _BEFORE_S if is_long and faults else 0
        faults.append(_planned(choose, at, kind))
        at += choose.uniform(*PAUSE_S) + (_AFTER_S if is_long else 0)
    faults.append(Planned(writing_s - 2.0, Kind.REDIS_RESTART, 0, 8.0, 1))
    return faults


def _bag(choose: random.Random, kinds: Sequence[Kind]) -> Iterator[Kind]:
    while True:
        yield from choose.sample(list(kinds), len(kinds))


def _planned(choose: random.Random, at: float, kind: Kind) -> Planned:
    return Planned(at, kind, choose.randrange(NODES), choose.uniform(*_DURATION_S), choose.randint(1, 20))
