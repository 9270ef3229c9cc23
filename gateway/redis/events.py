"""What the rooms in Redis tell the node about themselves, for metrics and readiness."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Happening = Literal["reconnected", "publish_dropped", "probe_failed", "lease_lost", "lease_abandoned", "node_swept"]


@dataclass(frozen=True, slots=True)
class RedisEvents:
    """`happened` counts; `task_failed(name, error)` means that only a restart helps.

    `answered` hears how long the oldest command of each read had waited; `probed`, how long a probe took.
    """

    happened: Callable[[Happening], None] = lambda _: None
    task_failed: Callable[[str, BaseException], None] = lambda _name, _error: None
    answered: Callable[[float], None] = lambda _: None
    probed: Callable[[float], None] = lambda _: None
