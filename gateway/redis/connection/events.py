"""Callbacks from the Redis adapters to the node, for metrics and readiness."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Happening = Literal[
    "reconnected",
    "publish_dropped",
    "probe_failed",
    "foreign_publication",
    "lease_lost",
    "lease_abandoned",
    "node_swept",
]


@dataclass(frozen=True, slots=True)
class RedisEvents:
    """`happened` counts an event; `task_failed(name, error)` reports a failure that only a restart can repair.

    `answered` receives the seconds that the oldest command of each read had waited, `probed` the seconds of a probe.
    """

    happened: Callable[[Happening], None] = lambda _: None
    task_failed: Callable[[str, BaseException], None] = lambda _name, _error: None
    answered: Callable[[float], None] = lambda _: None
    probed: Callable[[float], None] = lambda _: None
